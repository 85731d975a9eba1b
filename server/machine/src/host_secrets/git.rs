//! git's identity and settings of this computer, as a machine's git reads them.

use crate::host_tool;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

/// A git configuration with the person's name and address, as their own says, and the helper that asks this computer at `socket`. Signing is
/// left out: it needs keys and programs that the machine may not have.
pub(super) async fn config(socket: &str) -> String {
    let listed =
        host_tool::ask("git", &["config", "--global", "--includes", "--null", "--list"], b"", LIMIT).await;
    of(&listed.map(|listed| String::from_utf8_lossy(&listed).into_owned()).unwrap_or_default(), socket)
}

/// The same of what `git config --null --list` prints: the last of several goes.
fn of(listed: &str, socket: &str) -> String {
    let value = |key: &str| {
        let entries = listed.split('\0').filter_map(|entry| entry.split_once('\n'));
        entries.rev().find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let mut text = String::from("# From the host; the machine's own configuration goes over it.\n[user]\n");
    for (key, name) in [("user.name", "name"), ("user.email", "email")] {
        if let Some(value) = value(key).filter(|value| !value.contains(char::is_control)) {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            text.push_str(&format!("\t{name} = \"{value}\"\n"));
        }
    }
    // The system that was built last may be of an earlier codchi, whose helper knows one socket.
    let socket = if socket == "/dev/codchi-git" { String::new() } else { format!(" --socket {socket}") };
    text.push_str(&format!(
        "[credential]\n\thelper = /run/current-system/sw/bin/codchi-git-credential{socket}\n"
    ));
    if value("credential.usehttppath") == Some("true") {
        text.push_str("\tuseHttpPath = true\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_address_are_taken_and_cannot_say_more_than_that() {
        let listed = "user.name\nOld\0user.name\nA \"B\" \\ C\0user.email\na@b\n[core]\0core.pager\nless\0credential.usehttppath\ntrue\0";
        let text = of(listed, "/dev/codchi-git");
        assert!(text.contains("\tname = \"A \\\"B\\\" \\\\ C\"\n"), "{text}");
        assert!(!text.contains("email") && !text.contains("core") && text.contains("useHttpPath"), "{text}");
        assert!(text.contains("/codchi-git-credential\n"), "{text}");
        assert!(of("", "/a/socket").contains("/codchi-git-credential --socket /a/socket\n"));
    }
}
