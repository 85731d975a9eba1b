//! A running SSH agent.

use super::nodes::Answer;
use super::{Availability, Probe};
use std::path::Path;

impl Probe<'_> {
    /// An agent that answers, at `$SSH_AUTH_SOCK` or where sessions have theirs.
    pub(super) fn ssh_agent(mut self) -> Availability {
        const REMEDY: &str = "Start one (`eval $(ssh-agent)`, then `ssh-add`) before the editor or shell that runs \
                              codchi.";
        for path in self.host.agent_sockets() {
            let answer = self.host.answer(&path);
            self.saw(answer.told(&path));
            if answer == Answer::Listens {
                return self.yes(format!("{} is an SSH agent's socket.", path.display()));
            }
        }
        let Some(path) = self.host.variable("SSH_AUTH_SOCK") else {
            return self.no("There is no SSH agent: SSH_AUTH_SOCK is not set.", REMEDY);
        };
        match self.host.answer(Path::new(path)) {
            Answer::Missing => self.no(format!("SSH_AUTH_SOCK is {path}, which is no socket."), REMEDY),
            answer => self.no(format!("SSH_AUTH_SOCK: {}.", answer.told(Path::new(path))), REMEDY),
        }
    }
}
