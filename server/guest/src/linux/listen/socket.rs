//! The socket's name.

use crate::linux::{proc, put};
use anyhow::{Context as _, Result, bail};
use codchi_guest::ListenRequest;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, renameat, statat, unlinkat};
use rustix::process::{fchdir, umask};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// A name of ours in a folder. Dropped, it is taken away, unless something else has it by then.
pub(super) struct Socket {
    parent: OwnedFd,
    name: OsString,
    file: (u64, u64),
}

impl Socket {
    /// Listens at what is asked for, seen from the calling thread's root. The calling thread gets another working folder.
    pub(super) fn bind(request: &ListenRequest) -> Result<(Self, UnixListener)> {
        let path = Path::new(&request.path);
        let (Some(parent), Some(name), true) = (path.parent(), path.file_name(), path.is_absolute()) else {
            bail!("it is no absolute path of a file");
        };
        let parent = put::open_in(put::root("/")?, parent, OFlags::DIRECTORY).context("its folder")?;
        // By its name alone, as long as that is: an address of a socket is short, and may be led astray.
        fchdir(&parent)?;
        let new = format!(".codchi-{}", proc::random()?);
        let new = Path::new(&new);
        let before = umask(Mode::from_raw_mode(!request.mode & 0o777));
        let bound = UnixListener::bind(new);
        umask(before);
        let listener = bound?;
        let own = || {
            let (uid, gid) = (Uid::from_raw(request.uid), Gid::from_raw(request.gid));
            chownat(&parent, new, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
            let file = file(&parent, new)?;
            renameat(&parent, new, &parent, name)?;
            Ok::<_, rustix::io::Errno>(file)
        };
        match own() {
            Ok(file) => Ok((Self { parent, name: name.to_owned(), file }, listener)),
            Err(error) => {
                let _ = unlinkat(&parent, new, AtFlags::empty());
                Err(error.into())
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let name = Path::new(&self.name);
        if file(&self.parent, name).is_ok_and(|file| file == self.file) {
            // It goes with the system where it cannot be taken away.
            let _ = unlinkat(&self.parent, name, AtFlags::empty());
        }
    }
}

/// Device and inode.
fn file(parent: &OwnedFd, name: &Path) -> rustix::io::Result<(u64, u64)> {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| (stat.st_dev, stat.st_ino))
}
