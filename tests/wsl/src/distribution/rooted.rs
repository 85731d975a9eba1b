//! Files of a root file system, read from outside: links lead to what they lead to inside.

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, ResolveFlags};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A root file system.
pub(crate) struct Root(OwnedFd);

impl Root {
    /// The one whose `/` is `folder`.
    ///
    /// # Errors
    /// That it cannot be opened.
    pub(crate) fn at(folder: &Path) -> std::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(folder, flags, Mode::empty())?))
    }

    fn open(&self, path: &str, flags: OFlags) -> Option<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        rustix::fs::openat2(&self.0, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()
    }

    /// The text of a file, as far as it is text; `None` where it cannot be read.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let mut text = Vec::new();
        File::from(self.open(path, OFlags::RDONLY)?).read_to_end(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// Whether there is something.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.open(path, OFlags::PATH).is_some()
    }
}

/// Whether this process may execute `path`.
pub(crate) fn is_executable(path: &str) -> bool {
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()).is_ok()
}
