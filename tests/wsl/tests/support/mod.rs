//! A computer with Windows for one test, and a small distribution made of this machine's own programs.

// Each test program uses a part of it.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the distribution has.
const PROGRAMS: [&str; 18] = [
    "sh", "cat", "ls", "id", "env", "sleep", "mount", "umount", "mkdir", "touch", "stat", "hostname", "tty",
    "kill", "readlink", "rm", "true", "nohup",
];

pub struct Pc {
    folder: TempDir,
}

/// What a call printed, decoded, and its exit code.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: i32,
}

impl Said {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            out: text(&output.stdout),
            err: text(&output.stderr),
            code: output.status.code().unwrap_or(-2),
        }
    }

    #[track_caller]
    pub fn fails_with(&self, token: &str) {
        assert_eq!(self.code, 255, "{self:?}");
        assert!(self.out.contains(token), "{self:?}");
    }

    #[track_caller]
    pub fn succeeds(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }
}

impl Default for Pc {
    fn default() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("c/Users/me")).unwrap();
        Self { folder }
    }
}

impl Pc {
    /// One with `config.json`.
    pub fn with(config: &str) -> Self {
        let pc = Self::default();
        pc.configure(config);
        pc
    }

    /// One with a small distribution `one`, whose `wsl.conf` is `conf`.
    pub fn with_one(conf: &str) -> Self {
        let pc = Self::default();
        pc.import("one", conf);
        pc
    }

    pub fn configure(&self, config: &str) {
        fs::write(self.path("config.json"), config).unwrap();
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wsl"));
        command.args(arguments).env("CODCHI_TEST_WSL", self.folder.path()).env("WSL_UTF8", "1");
        command.env_remove("WSLENV").env_remove("WSL_DISABLE_WARNINGS").current_dir(self.path("c/Users/me"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn wsl(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).output().unwrap())
    }

    pub fn wsl_with(&self, input: Stdio, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).stdin(input).output().unwrap())
    }

    /// Runs a shell's command line in `one`.
    pub fn sh(&self, line: &str) -> Said {
        self.wsl(&["-d", "one", "--exec", "sh", "-c", line])
    }

    /// Imports the small distribution.
    pub fn import(&self, name: &str, conf: &str) {
        let archive = fs::File::open(archive(conf)).unwrap();
        let said =
            self.wsl_with(archive.into(), &["--import", name, &format!(r"C:\{name}"), "-", "--version", "2"]);
        assert_eq!(said.out, "It was done. \r\n", "{said:?}");
    }

    pub fn running(&self) -> Vec<String> {
        self.wsl(&["--list", "--running", "--quiet"]).succeeds().lines().map(Into::into).collect()
    }

    /// What is there of the computer beside its files: processes and mounts.
    pub fn left(&self) -> Vec<String> {
        let folder = self.folder.path().to_str().unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts.lines().filter(|line| line.contains(folder)).map(Into::into).collect()
    }
}

impl Drop for Pc {
    fn drop(&mut self) {
        let said = self.wsl(&["--codchi-test-down"]);
        if !std::thread::panicking() {
            assert_eq!(said.code, 0, "{said:?}");
            assert_eq!(self.left(), Vec::<String>::new());
        }
    }
}

/// Waits until `what` is so.
#[track_caller]
pub fn until(limit: Duration, what: impl Fn() -> bool) {
    let until = Instant::now() + limit;
    while !what() {
        assert!(Instant::now() < until, "not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An archive of the small distribution.
fn archive(conf: &str) -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
    let name = hex::encode(conf);
    let path = folder.path().join(format!("{name:.100}-{}.tar", conf.len()));
    if !path.exists() {
        let new = tempfile::NamedTempFile::new_in(folder.path()).unwrap();
        let mut builder = tar::Builder::new(new);
        fill(&mut builder, conf);
        builder.into_inner().unwrap().persist(&path).unwrap();
    }
    path
}

fn fill(builder: &mut tar::Builder<impl std::io::Write>, conf: &str) {
    for folder in ["etc", "root", "home", "home/me", "usr", "usr/bin", "sbin", "lib64", "lib", "mnt"] {
        entry(builder, folder, tar::EntryType::Directory, 0o755, b"");
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "bin", "usr/bin").unwrap();
    let users = "root:x:0:0::/root:/bin/sh\nme:x:1234:1234::/home/me:/bin/sh\n";
    entry(builder, "etc/passwd", tar::EntryType::Regular, 0o644, users.as_bytes());
    entry(builder, "etc/group", tar::EntryType::Regular, 0o644, b"root:x:0:\nme:x:1234:\nmore:x:77:me\n");
    entry(builder, "etc/fstab", tar::EntryType::Regular, 0o644, b"");
    entry(builder, "etc/wsl.conf", tar::EntryType::Regular, 0o644, conf.as_bytes());
    let mut libraries = BTreeSet::new();
    for program in PROGRAMS {
        let found = ["/bin", "/usr/bin"]
            .iter()
            .map(|folder| Path::new(folder).join(program))
            .find(|path| path.exists());
        let path =
            fs::canonicalize(found.unwrap_or_else(|| panic!("this machine has no {program}"))).unwrap();
        entry(
            builder,
            &format!("usr/bin/{program}"),
            tar::EntryType::Regular,
            0o755,
            &fs::read(&path).unwrap(),
        );
        let output = Command::new("ldd").arg(&path).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        libraries.extend(text.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned));
    }
    for library in libraries {
        entry(builder, &library[1..], tar::EntryType::Regular, 0o755, &fs::read(&library).unwrap());
    }
}

fn entry(
    builder: &mut tar::Builder<impl std::io::Write>,
    path: &str,
    kind: tar::EntryType,
    mode: u32,
    data: &[u8],
) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(data.len() as u64);
    builder.append_data(&mut header, path, data).unwrap();
}
