//! Laying down files, folders and links.

use anyhow::{Context as _, Result, bail};
use codchi_guest::{Entry, PutRequest};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, fchmod, fchown, mkdirat, openat,
    openat2, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The folder that all paths of a system begin at.
pub(crate) fn root(path: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).with_context(|| format!("opening {path}"))
}

/// What is at `path` in `root`, out of which no link leads.
pub(crate) fn open_in(root: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags | OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Lays `entry` down in `root`, a file with what `contents` gives.
pub(crate) fn into(root: &OwnedFd, entry: &PutRequest, contents: impl Read) -> Result<()> {
    let lay = || {
        let path = Path::new(&entry.path);
        let (Some(parent), Some(name), true) = (path.parent(), path.file_name(), path.is_absolute()) else {
            bail!("it is no absolute path of a file");
        };
        let parent = open_in(root, parent, OFlags::DIRECTORY).context("its folder")?;
        Place { parent, name: Path::new(name), entry }.lay(contents)
    };
    lay().with_context(|| format!("laying down {}", entry.path))
}

/// A name in a folder, and what shall have it.
struct Place<'a> {
    parent: OwnedFd,
    name: &'a Path,
    entry: &'a PutRequest,
}

impl Place<'_> {
    fn lay(&self, contents: impl Read) -> Result<()> {
        match &self.entry.entry {
            Entry::Folder => self.folder(),
            Entry::File => self.instead(|new| self.file(new, contents)),
            Entry::Symlink(target) => self.instead(|new| {
                symlinkat(target, &self.parent, new)?;
                Ok(chownat(&self.parent, new, self.uid(), self.gid(), AtFlags::SYMLINK_NOFOLLOW)?)
            }),
        }
    }

    fn folder(&self) -> Result<()> {
        match statat(&self.parent, self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => return Ok(()),
            Ok(_) => unlinkat(&self.parent, self.name, AtFlags::empty())?,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        mkdirat(&self.parent, self.name, Mode::RWXU)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(&self.parent, self.name, flags, Mode::empty())?;
        self.own(&folder)
    }

    fn file(&self, new: &Path, mut contents: impl Read) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.parent, new, flags, Mode::RUSR | Mode::WUSR)?);
        io::copy(&mut contents, &mut file)?;
        self.own(&file)
    }

    /// The owner first, since a change of it takes bits off the mode.
    fn own(&self, file: impl AsFd) -> Result<()> {
        fchown(&file, self.uid(), self.gid())?;
        Ok(fchmod(&file, Mode::from_raw_mode(self.entry.mode))?)
    }

    /// Has `make` make something of another name, which then takes the place of what is there.
    fn instead(&self, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let new = format!(".codchi-{}", super::proc::random()?);
        let new = Path::new(&new);
        let made = make(new).and_then(|()| Ok(renameat(&self.parent, new, &self.parent, self.name)?));
        if made.is_err() {
            // It may not even be there.
            let _ = unlinkat(&self.parent, new, AtFlags::empty());
        }
        made
    }

    fn uid(&self) -> Option<Uid> {
        Some(Uid::from_raw(self.entry.uid))
    }

    fn gid(&self) -> Option<Gid> {
        Some(Gid::from_raw(self.entry.gid))
    }
}
