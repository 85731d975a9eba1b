//! Root file systems on their way into a distribution and out of it, as tar archives.
//!
//! What goes in has, beside what an instance's own root file system holds, what WSL and we need: `/etc/wsl.conf`, the program of ours, and
//! `/sbin/init`, which is that program. None of it goes out.

use super::folder::Kept;
use crate::relocate;
use crate::types::{InstanceName, User};
use codchi_guest::{FOLDER, HOME, PROGRAM, VOLUME};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Error, ErrorKind, Read, Write};
use tar::{Builder, EntryType, Header};

/// Where an instance's init is.
const INIT: &str = "sbin/init";
/// WSL's settings of a distribution.
pub(super) const CONF: &str = "/etc/wsl.conf";

/// What of a distribution's root file system is ours.
pub(super) struct Ours<'a> {
    pub(super) name: &'a InstanceName,
    /// Its folder on a drive, as seen inside.
    pub(super) home: &'a str,
    /// The program, as bytes.
    pub(super) guest: &'a [u8],
    /// The instance; `None` for one that is made for a volume.
    pub(super) kept: Option<&'a Kept>,
}

impl Ours<'_> {
    /// An archive of empty folders and what is ours.
    pub(super) fn skeleton(&self, into: &mut Sink<impl Write>) -> io::Result<()> {
        whole(into, |to| {
            for (folder, mode) in codchi_guest::FOLDERS {
                append(to, &format!("{folder}/"), EntryType::Directory, mode, b"")?;
            }
            self.append(to)?;
            self.append_users(to)
        })
    }

    /// An archive of what is in `archive` and what is ours, instead of what is ours in it. Its entries are below `below`, without which they are
    /// none of an instance's.
    pub(super) fn instead(
        &self,
        archive: impl Read,
        below: &[u8],
        into: &mut Sink<impl Write>,
    ) -> io::Result<()> {
        whole(into, |to| {
            let has_users = inner_entries(archive, below, to)?;
            self.append(to)?;
            if has_users { Ok(()) } else { self.append_users(to) }
        })
    }

    fn append(&self, archive: &mut Builder<impl Write>) -> io::Result<()> {
        let relative = |path: &'static str| path.trim_start_matches('/');
        append(archive, &format!("{}/", relative(FOLDER)), EntryType::Directory, 0o755, b"")?;
        append(archive, relative(PROGRAM), EntryType::Regular, 0o755, self.guest)?;
        append(archive, relative(HOME), EntryType::Regular, 0o644, self.home.as_bytes())?;
        append(archive, relative(CONF), EntryType::Regular, 0o644, conf(self.name, self.kept).as_bytes())?;
        if self.kept.is_none() {
            return append(archive, &format!("{}/", relative(VOLUME)), EntryType::Directory, 0o755, b"");
        }
        archive.append_link(&mut header(EntryType::Symlink, 0o777, 0), INIT, PROGRAM)
    }

    /// WSL looks up the user of a session, root too, before anything of the instance's has run.
    fn append_users(&self, archive: &mut Builder<impl Write>) -> io::Result<()> {
        let mut users = String::from("root:x:0:0::/root:/bin/sh\n");
        if let Some(User { name, uid, gid }) = self.kept.and_then(|kept| kept.user.as_ref()) {
            let _ = writeln!(users, "{name}:x:{uid}:{gid}::/home/{name}:/bin/sh");
        }
        append(archive, "etc/passwd", EntryType::Regular, 0o644, users.as_bytes())
    }
}

/// An archive of what is below `rootfs/` in `archive`.
pub(super) fn root_only(archive: impl Read, into: &mut Sink<impl Write>) -> io::Result<()> {
    whole(into, |to| inner_entries(archive, b"rootfs", to).map(drop))
}

/// What the archive that `wsl.exe` or our program made of a distribution becomes as an archive that every driver reads.
pub(super) fn for_every_driver(
    archive: impl Read,
    init: &str,
    into: &mut Sink<impl Write>,
) -> io::Result<()> {
    whole(into, |to| {
        let metadata = format!("architecture: {}\ncreation_date: 0\n", std::env::consts::ARCH);
        append(to, "metadata.yaml", EntryType::Regular, 0o644, metadata.as_bytes())?;
        append(to, "rootfs/", EntryType::Directory, 0o755, b"")?;
        let place =
            |path: &[u8]| Some([b"rootfs/", path].concat()).filter(|_| !path.is_empty() && !is_ours(path));
        relocate(archive, to, place)?;
        to.append_link(&mut header(EntryType::Symlink, 0o777, 0), format!("rootfs/{INIT}"), init)
    })
}

/// Passes on the entries of an instance's that are below `below`; whether its users are among them.
fn inner_entries(archive: impl Read, below: &[u8], to: &mut Builder<impl Write>) -> io::Result<bool> {
    let (mut found, mut has_users) = (false, false);
    relocate(archive, to, |path| {
        let inner = if below.is_empty() { Some(path) } else { within(path, below) };
        found |= inner.is_some();
        has_users |= inner == Some(b"etc/passwd");
        inner.filter(|inner| !inner.is_empty() && !is_ours(inner)).map(<[u8]>::to_vec)
    })?;
    if found {
        Ok(has_users)
    } else {
        Err(Error::new(ErrorKind::InvalidData, "it holds no machine's root file system"))
    }
}

/// Where an archive goes. An archive that could not be made as a whole gets no end there, which a builder writes in any case.
pub(super) struct Sink<W> {
    inner: W,
    is_shut: bool,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, is_shut: false }
    }

    pub(super) fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_shut { Err(ErrorKind::BrokenPipe.into()) } else { self.inner.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What `make` puts into an archive, with an end where it succeeds.
fn whole<W: Write>(
    into: &mut Sink<W>,
    make: impl FnOnce(&mut Builder<&mut Sink<W>>) -> io::Result<()>,
) -> io::Result<()> {
    let mut archive = Builder::new(into);
    let made = make(&mut archive);
    if made.is_err() {
        archive.get_mut().is_shut = true;
        return made;
    }
    archive.into_inner()?.flush()
}

/// `wsl.conf`: what is asked for, and what our distributions are always. Source: <https://learn.microsoft.com/windows/wsl/wsl-config>.
pub(super) fn conf(name: &InstanceName, kept: Option<&Kept>) -> String {
    let mut settings: BTreeMap<String, String> = kept.map(|kept| kept.config.clone()).unwrap_or_default();
    let mut set = |key: &str, value: &str| {
        settings.entry(key.into()).or_insert_with(|| value.into());
    };
    set("network.hostname", name.as_str());
    set("automount.enabled", "true");
    // It would be mounted by a program that is not there yet.
    set("automount.mountFsTab", "false");
    set("boot.systemd", if kept.is_some() { "true" } else { "false" });
    // A program of Windows that is called like one of the machine's is never meant.
    set("interop.appendWindowsPath", "false");
    match kept.and_then(|kept| kept.user.as_ref()) {
        Some(user) => {
            set("user.default", &user.name);
            set("automount.options", &format!("metadata,uid={},gid={},umask=22", user.uid, user.gid));
        }
        None => set("user.default", "root"),
    }
    let mut text = String::from("# Written by codchi.\n");
    let mut section = "";
    for (key, value) in &settings {
        let (of, key) = key.split_once('.').unwrap_or(("", key));
        if of != section {
            let _ = writeln!(text, "[{of}]");
            section = of;
        }
        let _ = writeln!(text, "{key}={value}");
    }
    text
}

/// Whether what is at `path` is ours, not the instance's.
fn is_ours(path: &[u8]) -> bool {
    let ours = FOLDER.trim_start_matches('/').as_bytes();
    path == ours
        || path.strip_prefix(ours).is_some_and(|rest| rest.starts_with(b"/"))
        || path == INIT.as_bytes()
        || path == CONF.trim_start_matches('/').as_bytes()
}

fn within<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(folder)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") }
}

fn header(kind: EntryType, mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    // Numbers, which not every reader does without. They fit.
    let _ = header.set_device_major(0).and_then(|()| header.set_device_minor(0));
    header
}

fn append(
    archive: &mut Builder<impl Write>,
    path: &str,
    kind: EntryType,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    archive.append_data(&mut header(kind, mode, bytes.len()), path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::Archive;

    fn name() -> InstanceName {
        InstanceName::new("codchi-x").unwrap()
    }

    fn kept() -> Kept {
        let user = Some(User { name: "codchi".into(), uid: 1000, gid: 100 });
        let config = BTreeMap::from([("boot.initTimeout".into(), "1000".into())]);
        Kept { user, config, ..Kept::default() }
    }

    fn written(make: impl FnOnce(&mut Sink<Vec<u8>>) -> io::Result<()>) -> Vec<u8> {
        let mut sink = Sink::new(Vec::new());
        make(&mut sink).unwrap();
        sink.into_inner()
    }

    fn list(archive: &[u8]) -> BTreeMap<String, (EntryType, String)> {
        let mut archive = Archive::new(archive);
        let entry = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let link = entry.link_name_bytes().map(|link| String::from_utf8(link.into_owned()).unwrap());
            let mut text = Vec::new();
            entry.read_to_end(&mut text).unwrap();
            let text = link.unwrap_or_else(|| String::from_utf8_lossy(&text).into_owned());
            (path, (entry.header().entry_type(), text))
        };
        archive.entries().unwrap().map(entry).collect()
    }

    #[test]
    fn a_distribution_begins_with_empty_folders_and_what_is_ours() {
        let kept = kept();
        let ours = Ours { name: &name(), home: "/mnt/c/a b", guest: b"ELF", kept: Some(&kept) };
        let list = list(&written(|sink| ours.skeleton(sink)));
        assert_eq!(list["sbin/init"], (EntryType::Symlink, "/codchi/guest".into()));
        assert_eq!(list["codchi/guest"].1, "ELF");
        assert_eq!(list["codchi/home"].1, "/mnt/c/a b");
        assert!(list["etc/passwd"].1.contains("codchi:x:1000:100::/home/codchi:"));
        assert_eq!(list["tmp/"].0, EntryType::Directory);
        assert_eq!(
            list["etc/wsl.conf"].1,
            "# Written by codchi.\n[automount]\nenabled=true\nmountFsTab=false\noptions=metadata,uid=1000,gid=100,umask=22\n\
             [boot]\ninitTimeout=1000\nsystemd=true\n[interop]\nappendWindowsPath=false\n[network]\nhostname=codchi-x\n\
             [user]\ndefault=codchi\n"
        );
    }

    #[test]
    fn what_goes_out_and_comes_in_again_is_what_it_was() {
        let mut made = Builder::new(Vec::new());
        append(&mut made, "./", EntryType::Directory, 0o755, b"").unwrap();
        append(&mut made, "./opt/", EntryType::Directory, 0o755, b"").unwrap();
        append(&mut made, "./opt/file", EntryType::Regular, 0o640, b"text").unwrap();
        append(&mut made, "./codchi/guest", EntryType::Regular, 0o755, b"old").unwrap();
        append(&mut made, "./etc/wsl.conf", EntryType::Regular, 0o644, b"old").unwrap();
        made.append_link(&mut header(EntryType::Link, 0o640, 0), "./opt/hard", "./opt/file").unwrap();
        made.append_link(&mut header(EntryType::Symlink, 0o777, 0), "./sbin/init", PROGRAM).unwrap();
        made.append_pax_extensions([("SCHILY.xattr.user.note", b"kept".as_slice())]).unwrap();
        let long = ["a rather long name for a folder"; 7].join("/");
        append(&mut made, &format!("./{long}"), EntryType::Regular, 0o644, b"deep").unwrap();
        let bytes = made.into_inner().unwrap();

        let out = written(|sink| for_every_driver(bytes.as_slice(), "/nix/init", sink));
        let seen = list(&out);
        assert_eq!(seen["rootfs/sbin/init"], (EntryType::Symlink, "/nix/init".into()));
        assert_eq!(seen["rootfs/opt/hard"], (EntryType::Link, "rootfs/opt/file".into()));
        assert_eq!(seen[&format!("rootfs/{long}")].1, "deep");
        assert!(!seen.keys().any(|path| path.contains("codchi") || path.contains("wsl.conf")));

        let kept = kept();
        let ours = Ours { name: &name(), home: "/mnt/c", guest: b"new", kept: Some(&kept) };
        let again = written(|sink| ours.instead(out.as_slice(), b"rootfs", sink));
        let seen = list(&again);
        assert_eq!(seen["opt/hard"], (EntryType::Link, "opt/file".into()));
        assert!(!seen.keys().any(|path| path.starts_with("rootfs")), "{:?}", seen.keys());
        assert_eq!((&*seen["codchi/guest"].1, &*seen["sbin/init"].1), ("new", PROGRAM));
        let mut archive = Archive::new(again.as_slice());
        let noted = archive
            .entries()
            .unwrap()
            .map(Result::unwrap)
            .find(|entry| entry.path_bytes().ends_with(b"folder"));
        let extensions = noted.unwrap().pax_extensions().unwrap().unwrap().count();
        assert!(extensions >= 1);
    }

    #[test]
    fn what_is_no_whole_archive_is_an_error() {
        let mut made = Builder::new(Vec::new());
        append(&mut made, "rootfs/file", EntryType::Regular, 0o644, &[7; 2000]).unwrap();
        let whole = made.into_inner().unwrap();
        let ours = Ours { name: &name(), home: "", guest: b"", kept: None };
        let instead = |bytes: &[u8], below: &[u8]| {
            let mut sink = Sink::new(Vec::new());
            (ours.instead(bytes, below, &mut sink), sink.into_inner())
        };
        instead(&whole, b"rootfs").0.unwrap();
        for length in (0..whole.len()).step_by(256) {
            let (made, bytes) = instead(&whole[..length], b"rootfs");
            made.unwrap_err();
            assert!(!bytes.ends_with(&[0; 1024]), "{length}: it has no end");
        }
        instead(&whole, b"other").0.unwrap_err();
    }
}
