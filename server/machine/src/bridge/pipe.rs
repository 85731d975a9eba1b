//! Named pipes of Windows.

use std::io;
use std::path::Path;
use tokio::net::windows::named_pipe::{ClientOptions, NamedPipeClient};

/// `ERROR_PIPE_BUSY`: who has the pipe lets in one after the other, and this one came between.
const BUSY: i32 = 231;
/// How often is tried, each time after [`RETRY`](super::RETRY).
const TRIES: u32 = 100;

/// A connection to who has the pipe of this name. They learn who this is, and can do nothing in their name.
///
/// # Errors
/// Where nobody has, or they let nobody in.
pub(super) async fn open(name: &Path) -> io::Result<NamedPipeClient> {
    let mut tries = 0;
    loop {
        match ClientOptions::new().open(name) {
            Err(error) if error.raw_os_error() == Some(BUSY) && tries < TRIES => tries += 1,
            opened => return opened,
        }
        tokio::time::sleep(super::RETRY).await;
    }
}
