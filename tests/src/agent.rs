//! An SSH agent of a test's own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It ends with this.
pub struct Agent(Child);

impl Agent {
    /// One that listens at `socket`, with a new key that goes by `comment`; the key's files are beside the socket, by that name.
    ///
    /// # Panics
    /// Where there is none of OpenSSH's programs.
    #[must_use]
    pub fn start(socket: &Path, comment: &str) -> Self {
        let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(socket).stdout(Stdio::null()).spawn();
        let agent = Self(child.unwrap());
        let key = socket.with_file_name(comment);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
            .arg(&key)
            .status();
        assert!(made.unwrap().success());
        let end = Instant::now() + Duration::from_secs(10);
        while !socket.exists() {
            assert!(Instant::now() < end, "the agent's socket");
            std::thread::sleep(Duration::from_millis(20));
        }
        let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", socket).output().unwrap();
        assert!(added.status.success(), "{added:?}");
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
