//! Where this computer's SSH agent is.

use crate::Host;
use std::path::PathBuf;

/// Where agents that a session starts listen, below `$XDG_RUNTIME_DIR`.
const WELL_KNOWN: [&str; 5] =
    ["ssh-agent.socket", "gcr/ssh", "keyring/ssh", "openssh_agent", "gnupg/S.gpg-agent.ssh"];

impl Host {
    /// Sockets at which an SSH agent may answer, the likeliest first: `$SSH_AUTH_SOCK`, then where sessions have theirs. Whether
    /// one does answer, only asking tells.
    #[must_use]
    pub fn agent_sockets(&self) -> Vec<PathBuf> {
        let named = self.variable("SSH_AUTH_SOCK").map(PathBuf::from);
        let runtime = self.variable("XDG_RUNTIME_DIR").map(PathBuf::from);
        let known = runtime.into_iter().flat_map(|folder| WELL_KNOWN.map(|name| folder.join(name)));
        let mut sockets: Vec<PathBuf> = Vec::new();
        for path in named.into_iter().chain(known).filter(|path| self.is_socket(path)) {
            if !sockets.contains(&path) {
                sockets.push(path);
            }
        }
        sockets
    }
}
