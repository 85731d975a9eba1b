//! What `/proc` says of processes and mounts.

use anyhow::{Context as _, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// A new text, unlike any other.
pub(crate) fn random() -> Result<String> {
    Ok(read("/proc/sys/kernel/random/uuid")?.trim().to_owned())
}

/// The text that names the process with this id and no other, also not one that gets the id later; `None` where it does not run.
pub(crate) fn identity(pid: u32) -> Result<Option<String>> {
    let Some(since) = fs::read(format!("/proc/{pid}/stat")).ok().as_deref().and_then(since) else {
        return Ok(None);
    };
    Ok(Some(format!("{} {since}", read("/proc/sys/kernel/random/boot_id")?.trim())))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {path}"))
}

/// The start time in a `/proc/PID/stat` (proc_pid_stat(5)); `None` of one that has ended.
fn since(stat: &[u8]) -> Option<u64> {
    // The name in parentheses may hold anything.
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_ends + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// A mount, from the line of a `mountinfo` (proc_pid_mountinfo(5)).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mounted {
    pub(crate) id: u64,
    pub(crate) parent: u64,
    /// Seen from the root of whom it is about.
    pub(crate) path: PathBuf,
    /// Its own options, such as `ro`; not its file system's.
    pub(crate) options: Vec<String>,
}

/// The mounts that the process with this id sees.
pub(crate) fn mounts(pid: u32) -> Result<Vec<Mounted>> {
    let path = format!("/proc/{pid}/mountinfo");
    Ok(parse(&fs::read(&path).with_context(|| format!("reading {path}"))?))
}

/// The calling thread as `/proc` knows it, wherever it may move to.
pub(crate) struct OwnThread(OwnedFd);

impl OwnThread {
    pub(crate) fn open() -> Result<Self> {
        let folder = "/proc/thread-self";
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, folder, flags, Mode::empty()).with_context(|| format!("opening {folder}"))?))
    }

    /// The mounts that it sees now.
    pub(crate) fn mounts(&self) -> Result<Vec<Mounted>> {
        let mut bytes = Vec::new();
        openat(&self.0, "mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(Into::into)
            .and_then(|file| File::from(file).read_to_end(&mut bytes))
            .context("reading the own mountinfo")?;
        Ok(parse(&bytes))
    }
}

fn parse(mountinfo: &[u8]) -> Vec<Mounted> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (id, parent) = (number()?, number()?);
    let path = fields.nth(2)?;
    let options = std::str::from_utf8(fields.next()?).ok()?;
    Some(Mounted {
        id,
        parent,
        path: PathBuf::from(OsString::from_vec(unescaped(path))),
        options: options.split(',').map(str::to_owned).collect(),
    })
}

/// A path in which blanks and the like are written as `\` and three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let octal = || match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if first == b'\\' => {
                Some(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'))
            }
            _ => None,
        };
        let (byte, length) = octal().map_or((first, 0), |byte| (byte, 3));
        bytes.push(byte);
        rest = after.get(length..).unwrap_or_default();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

    #[test]
    fn a_mounts_path_may_hold_anything() {
        let line =
            br"36 35 98:0 /mnt1 /mnt/c/Users/J\303\266rg\040\134x rw,noatime master:1 - ext3 /dev/root rw";
        let mounts = parse(&[line.as_slice(), b"\n"].concat());
        assert_eq!(
            mounts,
            [Mounted {
                id: 36,
                parent: 35,
                path: PathBuf::from("/mnt/c/Users/Jörg \\x"),
                options: vec!["rw".into(), "noatime".into()],
            }]
        );
    }

    #[test]
    fn a_process_has_a_name_for_as_long_as_it_runs() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let first = identity(child.id()).unwrap();
        assert!(first.is_some());
        assert_eq!(first, identity(child.id()).unwrap());
        // This process may have started in the same tick of the clock; the first one has not.
        assert_ne!(first, identity(1).unwrap());
        child.kill().unwrap();
        // Before it is waited for it is a zombie.
        let pid = Pid::from_child(&child);
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        assert_eq!(identity(child.id()).unwrap(), None);
        child.wait().unwrap();
        assert_eq!(identity(child.id()).unwrap(), None);
    }

    #[test]
    fn a_process_may_be_called_anything() {
        let stat = b"7 (a) Z (b) S 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4321 0 0";
        assert_eq!(since(stat), Some(4321));
    }
}
