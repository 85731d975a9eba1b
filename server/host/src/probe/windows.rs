//! What machines ask of Windows at each use: the SSH agent and git.

use super::{Availability, Host, Probe};
use std::path::PathBuf;

/// The pipe of Windows' own SSH agent, which is what its `ssh` asks where `SSH_AUTH_SOCK` names no other.
///
/// Source: <https://github.com/PowerShell/openssh-portable>.
const AGENT: &str = r"\\.\pipe\openssh-ssh-agent";
/// What pipes' names begin with.
const PIPES: &str = r"\\.\pipe\";

impl Host {
    /// Pipes at which an SSH agent may answer, the likeliest first: what `SSH_AUTH_SOCK` names, where that is a pipe and no socket of a Unix
    /// on Windows, then that of Windows' own.
    pub(super) fn agent_pipes(&self) -> Vec<PathBuf> {
        let named = self.variable("SSH_AUTH_SOCK").map(|name| name.replace('/', r"\"));
        let named = named.filter(|name| {
            let begin = name.get(..PIPES.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(PIPES)) && !name.eq_ignore_ascii_case(AGENT)
        });
        named.into_iter().chain([AGENT.to_owned()]).map(PathBuf::from).collect()
    }
}

impl Probe<'_> {
    /// An agent with a pipe.
    pub(super) fn agent_of_windows(mut self) -> Availability {
        let pipes = self.host.agent_pipes();
        for pipe in &pipes {
            if self.host.has(pipe) {
                self.saw(pipe.display().to_string());
                return self.yes(format!("{} is an SSH agent's pipe.", pipe.display()));
            }
            self.saw(format!("{} is not there", pipe.display()));
        }
        self.no(
            format!("There is no SSH agent: there is no pipe {AGENT}."),
            "Start the service \"OpenSSH Authentication Agent\" in an administrator's PowerShell: \
             `Get-Service ssh-agent | Set-Service -StartupType Automatic; Start-Service ssh-agent`. Then `ssh-add`.",
        )
    }

    /// git for Windows, with the credential helper that it has.
    #[cfg(windows)]
    pub(super) fn git(mut self) -> Availability {
        match self.host.program("git") {
            Some(path) => {
                self.saw(path.display().to_string());
                self.yes("git is on this computer.")
            }
            None => self.no(
                "There is no git.exe on PATH.",
                "Install git for Windows with `winget install Git.Git`, then open a new terminal.",
            ),
        }
    }

    #[cfg(windows)]
    pub(super) fn ssh_agent(self) -> Availability {
        self.agent_of_windows()
    }
}

#[cfg(windows)]
mod of_host {
    use crate::{Display, Host, Sound, X11};
    use std::path::PathBuf;
    use zeroize::Zeroizing;

    /// Nothing of a session is handed in by codchi: WSL does that.
    impl Host {
        /// Pipes at which an SSH agent may answer, the likeliest first. Whether one does answer, only asking tells.
        #[must_use]
        pub fn agent_sockets(&self) -> Vec<PathBuf> {
            self.agent_pipes()
        }

        /// No display is at a socket here.
        #[must_use]
        pub fn display(&self) -> Display {
            Display::default()
        }

        /// No X server asks for it.
        #[must_use]
        pub fn x11_authority(&self, _x11: &X11, _number: u32) -> Option<Zeroizing<Vec<u8>>> {
            None
        }

        /// No sound server is at a socket here.
        #[must_use]
        pub fn sound(&self) -> Sound {
            Sound::default()
        }

        /// No sound server asks for it.
        #[must_use]
        pub fn pulse_cookie(&self) -> Option<Zeroizing<Vec<u8>>> {
            None
        }

        /// No engine does so here.
        #[must_use]
        pub fn intercepts_calls(&self) -> bool {
            false
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;

    #[test]
    fn an_agent_is_where_its_pipe_is() {
        let root = tempfile::tempdir().unwrap();
        let mut host = Host { root: root.path().into(), environment: BTreeMap::new(), wsl: true };
        let probed = |host: &Host| Probe { host, evidence: Vec::new() }.agent_of_windows();
        let remedy = probed(&host).remedy.unwrap();
        assert!(remedy.contains("Set-Service -StartupType Automatic; Start-Service ssh-agent"), "{remedy}");
        // Here a pipe is a file whose name is all of this.
        fs::write(root.path().join(AGENT), "").unwrap();
        assert!(probed(&host).available);
        // A socket of Git Bash is none of Windows', and a pipe goes before the usual one.
        host.environment.insert("SSH_AUTH_SOCK".into(), "/tmp/ssh-x/agent.1".into());
        assert_eq!(host.agent_pipes(), [PathBuf::from(AGENT)]);
        host.environment.insert("SSH_AUTH_SOCK".into(), "//./pipe/other-agent".into());
        assert_eq!(host.agent_pipes(), [PathBuf::from(r"\\.\pipe\other-agent"), PathBuf::from(AGENT)]);
        assert_eq!(probed(&host).probed, format!("{AGENT} is an SSH agent's pipe."));
    }
}
