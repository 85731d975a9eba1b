//! `ssh-agent`.

use super::look::Answer;
use super::{Availability, Probe};
use std::path::Path;

impl Probe<'_> {
    /// A running SSH agent.
    pub(super) fn ssh_agent(mut self) -> Availability {
        const REMEDY: &str = "Start one (`eval $(ssh-agent)`, then `ssh-add`) before the editor or shell that runs \
                              codchi.";
        let Some(path) = self.host.variable("SSH_AUTH_SOCK") else {
            return self.no("There is no SSH agent: SSH_AUTH_SOCK is not set.", REMEDY);
        };
        let answer = self.host.answer(Path::new(path));
        self.saw(answer.told(Path::new(path)));
        match answer {
            Answer::Listens => self.yes(format!("{path} is an SSH agent's socket.")),
            Answer::Missing => self.no(format!("SSH_AUTH_SOCK is {path}, which is no socket."), REMEDY),
            Answer::Dead | Answer::Forbidden => {
                self.no(format!("SSH_AUTH_SOCK: {}.", answer.told(Path::new(path))), REMEDY)
            }
        }
    }
}
