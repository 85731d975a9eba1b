//! Looking at a Linux host: device nodes, sockets, and what the kernel says in files.

use super::Host;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Whether somebody answers at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Somebody listens.
    Listens,
    /// There is a socket, and whoever listened at it is gone.
    Dead,
    /// This user may not connect to it.
    Forbidden,
    /// There is no such socket.
    Missing,
}

impl Answer {
    /// What to say of the socket at `path`, without a full stop.
    pub(super) fn told(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Listens => format!("{path} answers"),
            Self::Dead => format!("{path} is there, but nobody listens at it any more"),
            Self::Forbidden => format!("{path} is there, but this user may not connect to it"),
            Self::Missing => format!("there is no socket {path}"),
        }
    }
}

impl Host {
    /// Whether there is a socket at `path`.
    pub(crate) fn is_socket(&self, path: &Path) -> bool {
        self.at(path).metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
    }

    /// The folder with the sockets of the person's session; the usual one where nothing names it, as for who came in by SSH.
    pub(super) fn runtime_folder(&self) -> Option<PathBuf> {
        let named = self.variable("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        named.or_else(|| {
            let usual = PathBuf::from(format!("/run/user/{}", rustix::process::getuid().as_raw()));
            self.has(&usual).then_some(usual)
        })
    }

    /// The names in a folder, sorted; none where it cannot be read.
    pub(super) fn names(&self, folder: impl AsRef<Path>) -> Vec<String> {
        let entries = std::fs::read_dir(self.at(folder)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// What is in a file, without white space around it; `None` where it cannot be read.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = std::fs::read(self.at(path)).ok()?;
        Some(String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// The number in a file.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// The last component of what a link leads to.
    pub(super) fn link_name(&self, path: impl AsRef<Path>) -> Option<String> {
        Some(std::fs::read_link(self.at(path)).ok()?.file_name()?.to_string_lossy().into_owned())
    }

    /// A device node with owner and permissions: `/dev/kvm (root:kvm, 0660)`. `None` where there is none.
    pub(super) fn node(&self, path: impl AsRef<Path>) -> Option<String> {
        let path = path.as_ref();
        let metadata = self.at(path).metadata().ok()?;
        let owner = self.named("/etc/passwd", metadata.uid());
        let group = self.named("/etc/group", metadata.gid());
        Some(format!("{} ({owner}:{group}, {:04o})", path.display(), metadata.mode() & 0o7777))
    }

    /// The name of an id in `/etc/passwd` or `/etc/group`; the id where there is none.
    fn named(&self, file: &str, id: u32) -> String {
        let text = self.text(file).unwrap_or_default();
        let name = text.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        });
        name.unwrap_or_else(|| id.to_string())
    }

    /// Whether somebody answers at the unix socket `path`. Says nothing and reads nothing.
    pub(super) fn answer(&self, path: &Path) -> Answer {
        let path = self.at(path);
        match path.metadata() {
            Ok(metadata) if metadata.file_type().is_socket() => {}
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Answer::Forbidden,
            Ok(_) | Err(_) => return Answer::Missing,
        }
        let connected = SocketAddrUnix::new(path).and_then(|address| {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            connect(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?, &address)
        });
        match connected {
            // EAGAIN: so many wait to be answered that no more can.
            Ok(()) | Err(Errno::AGAIN) => Answer::Listens,
            Err(Errno::ACCESS | Errno::PERM) => Answer::Forbidden,
            Err(_) => Answer::Dead,
        }
    }
}
