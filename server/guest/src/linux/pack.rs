//! The distribution's root file system as a tar archive.

use super::wire::Outgoing;
use anyhow::{Context as _, Result};
use codchi_guest::frame::LIMIT;
use codchi_guest::{FOLDER, Kind};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fgetxattr, flistxattr, fstat, major,
    minor, openat2, readlinkat, statat,
};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use std::collections::HashMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Sends the archive as output.
pub(crate) fn root(out: &Outgoing) -> Result<()> {
    // Seen through a mount of its own, on which none of the others is.
    let bare = open_tree(CWD, "/", OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
        .context("opening the root file system")?;
    pack(bare, Path::new(FOLDER.trim_start_matches('/')), BufWriter::with_capacity(LIMIT, Sending(out)))
}

/// What is written is sent as output.
struct Sending<'a>(&'a Outgoing);

impl Write for Sending<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..LIMIT).unwrap_or(bytes);
        self.0.send(Kind::Output, piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all that is in the folder `root`, but not what is called `without` there, to `into`.
fn pack(root: OwnedFd, without: &Path, into: impl Write) -> Result<()> {
    let mut packer = Packer { root, archive: Builder::new(into), names: HashMap::new() };
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let inner = packer.folder(&folder, without);
        let inner = inner.with_context(|| format!("packing what is in /{}", folder.display()))?;
        folders.extend(inner);
    }
    Ok(packer.archive.into_inner()?.flush()?)
}

struct Packer<W: Write> {
    root: OwnedFd,
    archive: Builder<W>,
    /// The first name of each file that has several, by device and inode.
    names: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packer<W> {
    /// Packs what is in a folder; gives the folders among that.
    fn folder(&mut self, folder: &Path, without: &Path) -> Result<Vec<PathBuf>> {
        let Some(open) = unless_gone(self.open(folder, OFlags::DIRECTORY))? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in Dir::read_from(&open)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort();
        let mut folders = Vec::new();
        for name in names {
            let path = folder.join(&name);
            if path == without {
                continue;
            }
            let packed =
                self.entry(&open, &name, &path).with_context(|| format!("packing /{}", path.display()))?;
            if packed == Some(EntryType::Directory) {
                folders.push(path);
            }
        }
        Ok(folders)
    }

    /// Packs what has this name in an open folder; gives its kind where it was packed.
    fn entry(&mut self, folder: &OwnedFd, name: &OsStr, path: &Path) -> Result<Option<EntryType>> {
        let Some(stat) = unless_gone(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW))? else {
            return Ok(None);
        };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => EntryType::Regular,
            FileType::Directory => EntryType::Directory,
            FileType::Symlink => EntryType::Symlink,
            FileType::CharacterDevice => EntryType::Char,
            FileType::BlockDevice => EntryType::Block,
            FileType::Fifo => EntryType::Fifo,
            _ => return Ok(None),
        };
        let has_others = stat.st_nlink > 1 && kind != EntryType::Directory;
        if let Some(first) = self.names.get(&(stat.st_dev, stat.st_ino)).filter(|_| has_others) {
            self.archive.append_link(&mut header(EntryType::Link, &stat)?, path, first)?;
            return Ok(Some(EntryType::Link));
        }
        let packed = match kind {
            EntryType::Regular | EntryType::Directory => self.with_contents(kind, path)?,
            EntryType::Symlink => match unless_gone(readlinkat(folder, name, Vec::new()))? {
                Some(target) => {
                    let target = OsString::from_vec(target.into_bytes());
                    self.archive.append_link(&mut header(kind, &stat)?, path, Path::new(&target))?;
                    true
                }
                None => false,
            },
            _ => {
                self.archive.append_data(&mut header(kind, &stat)?, path, io::empty())?;
                true
            }
        };
        if packed && has_others {
            self.names.insert((stat.st_dev, stat.st_ino), path.to_owned());
        }
        Ok(packed.then_some(kind))
    }

    /// Packs a file or folder as it is when it is open; whether it was there.
    fn with_contents(&mut self, kind: EntryType, path: &Path) -> Result<bool> {
        // Without waiting, since what was a file may be a pipe by now.
        let Some(open) = unless_gone(self.open(path, OFlags::NONBLOCK))? else { return Ok(false) };
        let stat = fstat(&open)?;
        let expected = if kind == EntryType::Directory { FileType::Directory } else { FileType::RegularFile };
        if FileType::from_raw_mode(stat.st_mode) != expected {
            return Ok(false);
        }
        let attributes = attributes(&open)?;
        self.archive
            .append_pax_extensions(attributes.iter().map(|(key, value)| (key.as_str(), value.as_slice())))?;
        let mut header = header(kind, &stat)?;
        if kind == EntryType::Directory {
            self.archive.append_data(&mut header, path, io::empty())?;
        } else {
            // One that becomes shorter meanwhile ends in zeros: its size is written already.
            let size = header.size()?;
            self.archive.append_data(&mut header, path, File::from(open).chain(io::repeat(0)).take(size))?;
        }
        Ok(true)
    }

    /// Opens what is at `path`, which leads through no link.
    fn open(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
    }
}

/// What is gone, or is another by now.
fn unless_gone<T>(result: rustix::io::Result<T>) -> rustix::io::Result<Option<T>> {
    match result {
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => Ok(None),
        result => result.map(Some),
    }
}

fn header(kind: EntryType, stat: &Stat) -> Result<Header> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o7777);
    header.set_uid(stat.st_uid.into());
    header.set_gid(stat.st_gid.into());
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_size(if kind == EntryType::Regular { u64::try_from(stat.st_size)? } else { 0 });
    if matches!(kind, EntryType::Char | EntryType::Block) {
        header.set_device_major(major(stat.st_rdev))?;
        header.set_device_minor(minor(stat.st_rdev))?;
    }
    Ok(header)
}

/// The extended attributes of a file, as extensions of its entry.
fn attributes(file: impl AsFd) -> Result<Vec<(String, Vec<u8>)>> {
    let mut names = vec![0; 64 << 10];
    let length = match flistxattr(&file, &mut names[..]) {
        // The file system has none.
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        length => length?,
    };
    let mut all = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // What is no text is nothing that a program makes.
        let (Ok(text), Ok(name)) = (std::str::from_utf8(name), CString::new(name)) else { continue };
        let mut value = vec![0; 64 << 10];
        match fgetxattr(&file, &name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                all.push((format!("SCHILY.xattr.{text}"), value));
            }
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error).with_context(|| format!("reading the attribute {text}")),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    #[test]
    fn an_archive_holds_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("deep/er")).unwrap();
        fs::create_dir_all(at("ours/x")).unwrap();
        fs::write(at("deep/er/file"), vec![7; 100_000]).unwrap();
        fs::set_permissions(at("deep/er/file"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::hard_link(at("deep/er/file"), at("deep/other")).unwrap();
        symlink("/no/where", at("link")).unwrap();
        let long = "x".repeat(200);
        fs::write(at(&long), "").unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();

        let root = super::super::put::root(folder.path().to_str().unwrap()).unwrap();
        let mut bytes = Vec::new();
        pack(root, Path::new("ours"), &mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut seen = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            let header = entry.header();
            let link = entry.link_name().unwrap().map(|link| link.display().to_string());
            let path = entry.path().unwrap().display().to_string();
            seen.insert(path, (header.entry_type(), header.mode().unwrap(), link, contents.len()));
        }
        let names: Vec<&str> = seen.keys().map(String::as_str).collect();
        assert_eq!(names, ["deep", "deep/er", "deep/er/file", "deep/other", "link", &long]);
        let link = |name: &str| (seen[name].0, seen[name].2.as_deref());
        assert_eq!(link("link"), (EntryType::Symlink, Some("/no/where")));
        assert_eq!(link("deep/er/file"), (EntryType::Link, Some("deep/other")));
        assert_eq!((seen["deep/other"].1, seen["deep/other"].3), (0o4751, 100_000));
    }
}
