//! Where a bridge that runs is greeted: a unix socket in its folder; on Windows a named pipe, which nobody but the person may write to: that is
//! what Windows lets by default (<https://learn.microsoft.com/windows/win32/ipc/named-pipe-security-and-access-rights>).

use super::Place;
use crate::MachineError;
use std::io;

#[cfg(unix)]
pub(super) use of_unix::{Control, connect};
#[cfg(windows)]
pub(super) use of_windows::{Control, connect};

#[cfg(unix)]
mod of_unix {
    use super::{MachineError, Place, io};
    use crate::bridge::doors::bind;
    use std::path::PathBuf;
    use tokio::net::{UnixListener, UnixStream};

    /// Its name is gone when it is dropped.
    pub(in crate::bridge) struct Control {
        listener: UnixListener,
        path: PathBuf,
    }

    impl Control {
        /// Takes over what a bridge that has died may have left.
        ///
        /// # Errors
        /// Where it cannot be made.
        pub(in crate::bridge) fn at(place: &Place) -> Result<Self, MachineError> {
            let path = place.control();
            Ok(Self { listener: bind(&path)?, path })
        }

        /// The next who greets.
        pub(in crate::bridge) async fn accept(&mut self) -> io::Result<UnixStream> {
            self.listener.accept().await.map(|(stream, _)| stream)
        }
    }

    impl Drop for Control {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    /// A connection to the bridge that runs.
    ///
    /// # Errors
    /// Where none does.
    pub(in crate::bridge) async fn connect(place: &Place) -> io::Result<UnixStream> {
        UnixStream::connect(place.control()).await
    }
}

#[cfg(windows)]
mod of_windows {
    use super::{MachineError, Place, io};
    use crate::files::io_error;
    use sha2::{Digest as _, Sha256};
    use std::path::Path;
    use tokio::net::windows::named_pipe::{NamedPipeClient, NamedPipeServer, ServerOptions};

    pub(in crate::bridge) struct Control {
        name: String,
        next: NamedPipeServer,
    }

    impl Control {
        /// The pipe of this state folder.
        ///
        /// # Errors
        /// Where it cannot be made, as where somebody else has this name.
        pub(in crate::bridge) fn at(place: &Place) -> Result<Self, MachineError> {
            let name = name(place);
            let next = ServerOptions::new().first_pipe_instance(true).create(&name);
            let next = next.map_err(|e| io_error("Listening on", Path::new(&name), e))?;
            Ok(Self { name, next })
        }

        /// The next who greets.
        pub(in crate::bridge) async fn accept(&mut self) -> io::Result<NamedPipeServer> {
            self.next.connect().await?;
            // From now on somebody else may come.
            let next = ServerOptions::new().create(&self.name)?;
            Ok(std::mem::replace(&mut self.next, next))
        }
    }

    fn name(place: &Place) -> String {
        let digest = Sha256::digest(place.control().as_os_str().as_encoded_bytes());
        let digest = hex::encode(&digest[..16]);
        format!(r"\\.\pipe\codchi-bridge-{digest}")
    }

    /// A connection to the bridge that runs.
    ///
    /// # Errors
    /// Where none does.
    pub(in crate::bridge) async fn connect(place: &Place) -> io::Result<NamedPipeClient> {
        crate::bridge::pipe::open(Path::new(&name(place))).await
    }
}
