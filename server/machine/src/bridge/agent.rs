//! A machine's connections to the SSH agent: bytes are passed on, permission is looked at for each piece.

use super::doors::Asker;
#[cfg(windows)]
use super::pipe::open;
use codchi_host::Host;
use std::io;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[cfg(unix)]
use tokio::net::UnixStream as Agent;
#[cfg(windows)]
use tokio::net::windows::named_pipe::NamedPipeClient as Agent;

/// Passes on what a machine and the agent say to each other until one of them ends or `may` says no. The agent is looked for
/// anew: `told` is where it was last.
pub(super) async fn pass(machine: impl Asker, told: Option<&Path>, may: impl Fn() -> bool) -> io::Result<()> {
    let agent = connect(told).await?;
    let (mut from_machine, mut to_machine) = tokio::io::split(machine);
    let (mut from_agent, mut to_agent) = tokio::io::split(agent);
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
async fn connect(told: Option<&Path>) -> io::Result<Agent> {
    // Of this process's own environment only the places where sessions have theirs.
    let known = Host::this().agent_sockets();
    for path in told.map(PathBuf::from).into_iter().chain(known) {
        if let Ok(agent) = open(&path).await {
            return Ok(agent);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "no SSH agent answers on this computer"))
}

#[cfg(unix)]
async fn open(path: &Path) -> io::Result<Agent> {
    Agent::connect(path).await
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::net::{UnixListener, UnixStream};

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
