use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

struct Lab {
    folder: tempfile::TempDir,
    paths: Paths,
}

impl Lab {
    /// With a name that ssh and shells could trip over.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("it's 50% \"a\" home").join(name);
        let paths = Paths {
            data: at("data"),
            config: at("config"),
            state: at("state"),
            cache: at("cache"),
            home: at(""),
        };
        fs::create_dir_all(&paths.home).unwrap();
        Self { folder, paths }
    }

    fn config(&self) -> PathBuf {
        self.paths.home.join(".ssh/config")
    }

    fn write_config(&self, text: &[u8], mode: u32) {
        fs::create_dir_all(self.paths.home.join(".ssh")).unwrap();
        fs::write(self.config(), text).unwrap();
        fs::set_permissions(self.config(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn add(&self, name: &str) {
        add_host(&self.paths, &machine(name), Path::new("/opt/my 100% 'tools'/codchi")).unwrap();
    }

    /// What the real ssh makes of the user's config for a host.
    fn ssh(&self, host: &str) -> String {
        let output = Command::new("ssh").arg("-F").arg(self.config()).args(["-G", host]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn machine(name: &str) -> MachineName {
    name.parse().unwrap()
}

#[test]
fn ssh_reads_our_block_before_what_the_user_says_of_all_hosts() {
    let lab = Lab::new();
    lab.write_config(
        b"Host *\n  User me\n  ForwardAgent yes\n  ProxyJump other\n  IdentityFile ~/.ssh/x\n",
        0o600,
    );
    lab.add("hello");
    let settings = lab.ssh("codchi-hello");
    let home = lab.paths.home.to_str().unwrap();
    for line in [
        "user codchi".into(),
        "hostname codchi-hello".into(),
        "hostkeyalias codchi-hello".into(),
        "identitiesonly yes".into(),
        "stricthostkeychecking true".into(),
        "forwardagent no".into(),
        "proxycommand '/opt/my 100%% '\\''tools'\\''/codchi' ssh-proxy hello".into(),
        format!("userknownhostsfile {home}data/machines/hello/known_hosts"),
    ] {
        let line: String = line;
        // Some versions print what they have read, others what becomes of it.
        let plain = |text: &str| text.replace("%%", "%").replace(['"', '\\'], "");
        assert!(settings.lines().any(|setting| plain(setting) == plain(&line)), "{line}\n{settings}");
    }
    assert!(!settings.contains("proxyjump"));
    // Hosts that are not ours are as they were.
    assert!(lab.ssh("example.org").contains("user me\n"));
}

#[test]
fn ssh_finds_the_files_and_runs_the_program() {
    let lab = Lab::new();
    let program = lab.folder.path().join("my 100% 'tools'");
    fs::create_dir_all(&program).unwrap();
    let program = program.join("codchi");
    // Written by another process: a child that another test starts meanwhile would have it open, and it could not be run.
    let write = "printf '#!/bin/sh\necho \"$@\" > \"%s/ran\"\n' \"$2\" >\"$1\" && chmod 0755 \"$1\"";
    let mut shell = Command::new("/bin/sh");
    assert!(shell.args(["-c", write, "sh"]).arg(&program).arg(lab.folder.path()).status().unwrap().success());
    add_host(&lab.paths, &machine("hello"), &program).unwrap();
    let mut ssh = Command::new("ssh");
    let output = ssh.arg("-v").arg("-F").arg(lab.config()).args(["codchi-hello", "true"]).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    // Type 3 is Ed25519: it has read the key.
    assert!(log.contains("id_ed25519 type 3"), "{log}");
    assert_eq!(fs::read_to_string(lab.folder.path().join("ran")).unwrap(), "ssh-proxy hello\n", "{log}");
}

#[test]
fn the_users_config_is_given_back_byte_by_byte() {
    for text in [b"Host a\n  User \xff\n\n\n# end".as_slice(), b"", b"\n\nHost *\r\n"] {
        for mode in [0o600, 0o644] {
            let lab = Lab::new();
            lab.write_config(text, mode);
            assert!(!is_included(&lab.paths));
            lab.add("one");
            lab.add("two");
            lab.add("two");
            assert!(is_included(&lab.paths));
            let added = fs::read(lab.config()).unwrap();
            assert!(added.starts_with(b"# codchi: begin") && added.ends_with(text));
            assert_eq!(added.split(|&b| b == b'\n').filter(|line| line.starts_with(b"Include")).count(), 1);
            assert_eq!(fs::metadata(lab.config()).unwrap().permissions().mode() & 0o777, mode);
            remove_host(&lab.paths, &machine("one")).unwrap();
            assert!(is_included(&lab.paths));
            assert!(lab.ssh("codchi-two").contains("user codchi\n"));
            assert!(!lab.ssh("codchi-one").contains("user codchi\n"));
            remove_host(&lab.paths, &machine("two")).unwrap();
            remove_host(&lab.paths, &machine("two")).unwrap();
            assert_eq!(fs::read(lab.config()).unwrap_or_default(), text);
            assert!(!lab.paths.data.join("ssh/config").exists());
        }
    }
}

#[test]
fn a_config_that_is_a_link_stays_one() {
    let lab = Lab::new();
    let dotfiles = lab.folder.path().join("dotfiles");
    fs::write(&dotfiles, "Host *\n").unwrap();
    fs::create_dir_all(lab.paths.home.join(".ssh")).unwrap();
    symlink(&dotfiles, lab.config()).unwrap();
    lab.add("one");
    assert!(lab.config().is_symlink());
    assert!(fs::read_to_string(&dotfiles).unwrap().contains("Include"));
    remove_host(&lab.paths, &machine("one")).unwrap();
    assert!(lab.config().is_symlink());
    assert_eq!(fs::read_to_string(&dotfiles).unwrap(), "Host *\n");
}

#[test]
fn where_there_is_no_config_one_is_made_that_only_its_owner_reads() {
    let lab = Lab::new();
    lab.add("one");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&lab.paths.home.join(".ssh")), 0o700);
    for path in [
        lab.config(),
        lab.paths.data.join("ssh/config"),
        lab.paths.data.join("ssh/id_ed25519"),
        lab.paths.machine(&machine("one")).join("ssh_host_key"),
    ] {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    remove_host(&lab.paths, &machine("one")).unwrap();
    assert!(!lab.config().exists());
}

#[test]
fn an_include_that_the_user_wrote_counts_and_stays() {
    let mut lab = Lab::new();
    lab.paths.data = lab.paths.home.join(".local/share/codchi");
    for line in
        ["include ~/.local/share/codchi/ssh/config", "\tInclude=~/x \"~/.local/share/codchi/ssh/config\""]
    {
        let text = format!("Host *\n  User me\n{line}\n");
        lab.write_config(text.as_bytes(), 0o600);
        assert!(is_included(&lab.paths), "{line}");
        lab.add("one");
        remove_host(&lab.paths, &machine("one")).unwrap();
        assert_eq!(fs::read_to_string(lab.config()).unwrap(), text);
    }
    for line in ["# Include ~/.local/share/codchi/ssh/config", "Include ~/.ssh/other"] {
        lab.write_config(line.as_bytes(), 0o600);
        assert!(!is_included(&lab.paths), "{line}");
    }
}

#[test]
fn keys_are_made_once_and_read_by_openssh() {
    let lab = Lab::new();
    let made: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| keys(&lab.paths, &machine("a")).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let first = &made[0];
    for keys in &made {
        assert_eq!(keys.host_key, first.host_key);
        assert_eq!(keys.authorized_keys, first.authorized_keys);
    }
    assert_ne!(keys(&lab.paths, &machine("b")).unwrap().host_key, first.host_key);
    let path = lab.paths.machine(&machine("a")).join("ssh_host_key");
    let output = Command::new("ssh-keygen").arg("-y").arg("-f").arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let public = String::from_utf8(output.stdout).unwrap();
    assert_eq!(public.split_whitespace().nth(1), first.host_key_public.split_whitespace().nth(1));
    let known = fs::read_to_string(lab.paths.machine(&machine("a")).join("known_hosts")).unwrap();
    assert_eq!(known, format!("codchi-a {}", first.host_key_public));
    assert!(!format!("{first:?}").contains("PRIVATE"));
}

#[test]
fn a_damaged_key_is_told_and_not_replaced() {
    let lab = Lab::new();
    keys(&lab.paths, &machine("a")).unwrap();
    let path = lab.paths.data.join("ssh/id_ed25519");
    fs::write(&path, "damaged").unwrap();
    let error = keys(&lab.paths, &machine("a")).unwrap_err();
    assert!(matches!(&error, MachineError::Io { path, .. } if path.contains("id_ed25519")), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "damaged");
}
