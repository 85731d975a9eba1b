//! A machine's connections to the SSH agent: bytes are passed on, permission is looked at for each piece.

use codchi_host::Host;
use std::io;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Passes on what a machine and the agent say to each other until one of them ends or `may` says no. The agent is looked for
/// anew: `told` is where it was last.
pub(super) async fn pass(machine: UnixStream, told: Option<&Path>, may: impl Fn() -> bool) -> io::Result<()> {
    let agent = connect(told).await?;
    let (mut from_machine, mut to_machine) = machine.into_split();
    let (mut from_agent, mut to_agent) = agent.into_split();
    let questions = async {
        let mut piece = zeroize::Zeroizing::new(vec![0; 16 << 10]);
        loop {
            let length = from_machine.read(&mut piece).await?;
            if length == 0 || !may() {
                return io::Result::Ok(());
            }
            to_agent.write_all(&piece[..length]).await?;
        }
    };
    tokio::select! {
        done = questions => done,
        done = tokio::io::copy(&mut from_agent, &mut to_machine) => done.map(drop),
    }
}

/// A connection to the first agent that answers.
async fn connect(told: Option<&Path>) -> io::Result<UnixStream> {
    // Of this process's own environment only the places where sessions have theirs.
    let known = Host::this().agent_sockets();
    for path in told.map(PathBuf::from).into_iter().chain(known) {
        if let Ok(stream) = UnixStream::connect(&path).await {
            return Ok(stream);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "no SSH agent answers on this computer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::net::UnixListener;

    #[tokio::test]
    async fn what_is_said_is_passed_on_until_it_is_no_longer_permitted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut read, mut write) = stream.split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        });
        let (mut machine, ours) = UnixStream::pair().unwrap();
        let may = std::sync::Arc::new(AtomicBool::new(true));
        let allowed = may.clone();
        let passing =
            tokio::spawn(async move { pass(ours, Some(&path), || allowed.load(Ordering::Relaxed)).await });
        let mut answer = [0; 5];
        machine.write_all(b"hello").await.unwrap();
        machine.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
        may.store(false, Ordering::Relaxed);
        machine.write_all(b"again").await.unwrap();
        assert_eq!(machine.read(&mut answer).await.unwrap(), 0, "it is not passed on");
        passing.await.unwrap().unwrap();
    }
}
