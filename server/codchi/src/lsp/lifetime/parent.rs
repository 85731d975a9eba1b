//! Waiting for the end of a process that is not ours.

/// Waits until the process `pid` has ended.
///
/// # Errors
/// Where there is none, or it cannot be watched.
#[cfg(not(windows))]
pub(super) async fn ended(pid: u32) -> std::io::Result<()> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use tokio::net::unix::pipe::Receiver;
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(std::io::ErrorKind::NotFound)?;
    // Not a pipe, but waited for like one: readable means ended.
    let process = Receiver::from_owned_fd_unchecked(pidfd_open(pid, PidfdFlags::NONBLOCK)?)?;
    process.readable().await
}

/// Waits until the process `pid` has ended.
///
/// # Errors
/// Where there is none, or it cannot be watched.
#[cfg(windows)]
pub(super) async fn ended(pid: u32) -> std::io::Result<()> {
    let id = i32::try_from(pid).map_err(std::io::Error::other)?;
    let mut process = waitpid_any::WaitHandle::open(id)?;
    let (done, ended) = tokio::sync::oneshot::channel();
    // Not one of the runtime's: nobody could interrupt it, and there are not many of those.
    std::thread::Builder::new().name("parent".into()).stack_size(64 << 10).spawn(move || {
        let _ = done.send(process.wait());
    })?;
    ended.await.map_err(std::io::Error::other)?
}
