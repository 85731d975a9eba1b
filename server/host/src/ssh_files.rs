//! The person's SSH keys and configuration, as a machine can use them.

use crate::Host;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use zeroize::Zeroizing;

/// No larger file is taken, in bytes, and no more files.
const LARGEST: u64 = 256 << 10;
const MOST: usize = 64;

/// A file of `~/.ssh`.
pub struct SshFile {
    /// Its name in a machine's `~/.ssh`.
    pub name: String,
    /// What is in it.
    pub contents: Zeroizing<Vec<u8>>,
}

impl Host {
    /// The person's SSH configuration, keys, and keys of hosts, sorted by name: what is directly in `~/.ssh`, as files or links to
    /// files. Nothing that says who may log in here, and nothing of codchi's own.
    ///
    /// Known hosts are given as `known_hosts2`, which `ssh` reads and never writes, so that a machine keeps a list of its own.
    #[must_use]
    pub fn ssh_files(&self) -> Vec<SshFile> {
        let Some(home) = self.home() else { return Vec::new() };
        let folder = self.at(home.join(".ssh"));
        let mut files = BTreeMap::new();
        let mut named = BTreeSet::new();
        if let Some(config) = read(&folder.join("config")) {
            let (config, keys) = for_machine(&String::from_utf8_lossy(&config), home);
            named = keys;
            files.insert("config".to_owned(), Zeroizing::new(config.into_bytes()));
        }
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        for name in names {
            let is_key = name.starts_with("id_") || name.ends_with(".pub") || named.contains(&name);
            let given = if name == "known_hosts" { "known_hosts2".to_owned() } else { name.clone() };
            if !(is_key || name == "known_hosts") || name.contains("codchi") || files.len() >= MOST {
                continue;
            }
            if let Some(contents) = read(&folder.join(&name)) {
                files.insert(given, contents);
            }
        }
        files.into_iter().map(|(name, contents)| SshFile { name, contents }).collect()
    }
}

/// A regular file, or what a link to one leads to.
fn read(path: &Path) -> Option<Zeroizing<Vec<u8>>> {
    // Whoever opens a pipe waits for its other end.
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    std::fs::read(path).ok().map(Zeroizing::new)
}

/// The configuration as it holds in a machine: without codchi's own part, and with keys where they are there. And the names of
/// keys that it names.
fn for_machine(config: &str, home: &Path) -> (String, BTreeSet<String>) {
    let home = slashed(&home.display().to_string());
    let mut text = String::with_capacity(config.len());
    let mut keys = BTreeSet::new();
    for line in config.split_inclusive('\n') {
        let word = line.trim_start();
        let (keyword, value) = word.split_once([' ', '\t', '=']).unwrap_or((word.trim_end(), ""));
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        if is("Include") && value.contains("codchi") {
            continue;
        }
        if is("IdentityFile") || is("CertificateFile") {
            let line =
                slashed(line).replace(&format!("{home}/.ssh/"), "~/.ssh/").replace("%d/.ssh/", "~/.ssh/");
            let name = line.split_once("~/.ssh/").map(|(_, name)| name.trim().trim_end_matches('"'));
            // Those in folders below have no place in a machine.
            keys.extend(name.filter(|name| !name.is_empty() && !name.contains('/')).map(Into::into));
            text.push_str(&line);
        } else {
            text.push_str(line);
        }
    }
    (text, keys)
}

/// A path as machines write it.
fn slashed(text: &str) -> String {
    if cfg!(windows) { text.replace('\\', "/") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    #[test]
    fn keys_and_configuration_are_taken_as_a_machine_can_use_them_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("home/me/.ssh");
        fs::create_dir_all(folder.join("keys")).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write(
            "config",
            "Include \"/home/me/.config/codchi/ssh_config\"\nHost git\n  IdentityFile /home/me/.ssh/work\n  identityfile=~/.ssh/keys/x\n",
        );
        for name in ["id_ed25519", "id_ed25519.pub", "work", "other", "authorized_keys", "codchi.pub"] {
            write(name, name);
        }
        write("known_hosts", "host key");
        write("id_large", &"x".repeat(300 << 10));
        std::os::unix::net::UnixListener::bind(folder.join("id_socket")).unwrap();
        let host = Host {
            root: root.path().into(),
            environment: [("HOME".to_owned(), "/home/me".to_owned())].into(),
            wsl: false,
        };
        let files = host.ssh_files();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["config", "id_ed25519", "id_ed25519.pub", "known_hosts2", "work"]);
        let config = String::from_utf8(files[0].contents.to_vec()).unwrap();
        assert_eq!(config, "Host git\n  IdentityFile ~/.ssh/work\n  identityfile=~/.ssh/keys/x\n");
        let nobody = Host { root: PathBuf::from("/"), environment: BTreeMap::new(), wsl: false };
        assert!(nobody.ssh_files().is_empty());
    }
}
