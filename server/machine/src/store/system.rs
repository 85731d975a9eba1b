//! The files of the store instance: all that it has of a system.

use super::place::{HOME, INIT, Place};
use crate::MachineError;
use codchi_driver::{FileKind, FileSpec};
use std::fmt::Write as _;

/// How many builds may run at once, each as a user of its own.
const BUILDERS: u32 = 32;
/// The first of their ids, and their group.
const BUILDER: u32 = 30_001;
const BUILDERS_GROUP: u32 = 30_000;

/// Where distributions keep the certificates of authorities.
const CERTIFICATES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

impl Place<'_> {
    /// Writes them into the stopped instance; its first process is the daemon in the folder `bin`, and `resolver` is the
    /// address of its name server.
    pub(super) async fn write_system(&self, bin: &str, resolver: Option<&str>) -> Result<(), MachineError> {
        let folder = |path: &str, uid, gid| FileSpec {
            path: path.into(),
            uid,
            gid,
            mode: 0o755,
            kind: FileKind::Folder,
        };
        let file = |path: &str, mode, text: String| FileSpec {
            path: path.into(),
            uid: 0,
            gid: 0,
            mode,
            kind: FileKind::File(text.into_bytes().into()),
        };
        let (uid, gid) = (self.access.uid, self.access.gid);
        let mut files = vec![
            folder("/etc/nix", 0, 0),
            folder("/etc/ssl", 0, 0),
            folder("/etc/ssl/certs", 0, 0),
            folder(HOME, uid, gid),
            file(INIT, 0o755, init(bin)),
            file("/etc/passwd", 0o644, users(uid, gid)),
            file("/etc/group", 0o644, groups(gid)),
            file("/etc/nix/nix.conf", 0o644, settings(&self.machines.options().store.settings)),
            file("/etc/hosts", 0o644, "127.0.0.1 localhost\n::1 localhost\n".into()),
        ];
        if let Some(certificates) = CERTIFICATES.iter().find_map(|path| std::fs::read_to_string(path).ok()) {
            files.push(file("/etc/ssl/certs/ca-certificates.crt", 0o644, certificates));
        }
        if let Some(resolver) = resolver {
            files.push(file("/etc/resolv.conf", 0o644, format!("nameserver {resolver}\n")));
        }
        for file in &files {
            self.machines.driver().put_file(&self.name, file).await?;
        }
        Ok(())
    }
}

/// The first process. The engine starts it by another name than the daemon's own, by which the daemon knows what to be; the
/// kernel gives a script's interpreter its name back. What it adds, the script's path, becomes the value of a setting that
/// nothing uses.
fn init(bin: &str) -> String {
    format!("#!{bin}/nix-daemon --diff-hook\n")
}

fn users(uid: u32, gid: u32) -> String {
    let mut text = String::from("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n");
    if uid != 0 {
        let _ = writeln!(text, "codchi:x:{uid}:{gid}::{HOME}:/bin/sh");
    }
    for number in 0..BUILDERS {
        let (name, uid) = (builder(number), BUILDER + number);
        let _ = writeln!(text, "{name}:x:{uid}:{BUILDERS_GROUP}::/var/empty:/bin/false");
    }
    text
}

fn groups(gid: u32) -> String {
    let builders: Vec<String> = (0..BUILDERS).map(builder).collect();
    let own = if gid == 0 { String::new() } else { format!("codchi:x:{gid}:\n") };
    format!("root:x:0:\nnogroup:x:65534:\n{own}nixbld:x:{BUILDERS_GROUP}:{}\n", builders.join(","))
}

fn builder(number: u32) -> String {
    format!("nixbld{}", number + 1)
}

/// `nix.conf`. The root of a machine is the same user as ours as far as the kernel tells: so nobody at all is trusted.
fn settings(more: &str) -> String {
    format!(
        "# Written by codchi at each start.\n\
         build-users-group = nixbld\n\
         trusted-users =\n\
         allowed-users = *\n\
         sandbox = true\n\
         experimental-features = nix-command flakes\n\
         {more}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builders_have_users_of_their_own_and_nobody_is_trusted() {
        let users = users(1000, 1000);
        assert!(users.contains("codchi:x:1000:1000::/home/codchi:/bin/sh\n"));
        assert_eq!(users.matches(":30000::/var/empty").count(), 32);
        assert!(groups(100).contains(":30000:nixbld1,nixbld2,"));
        assert!(!self::users(0, 0).contains("codchi"));
        let settings = settings("substituters = https://cache.example.org");
        assert!(settings.contains("trusted-users =\n") && settings.ends_with("cache.example.org\n"));
    }
}
