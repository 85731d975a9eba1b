//! Host secrets: whether there is such a thing, and what; never a value.

use super::{Availability, Host, Probe};
use crate::HostSecret;
use std::path::PathBuf;

/// What gives tokens.
const TOKEN_TOOLS: [&str; 2] = ["gh", "glab"];

impl Host {
    /// Whether there is such a thing on this computer, and what; `certificates` are the person's own files of certificates.
    #[must_use]
    pub fn probe_secret(&self, secret: HostSecret, certificates: &[PathBuf]) -> Availability {
        let probe = Probe { host: self, evidence: Vec::new() };
        match secret {
            HostSecret::CaCertificates => probe.certificates(certificates),
            HostSecret::SshAgent => probe.ssh_agent(),
            HostSecret::SshKeys => probe.ssh_keys(),
            HostSecret::GitCredentials => probe.git(),
            HostSecret::Tokens => probe.tokens(),
        }
    }
}

impl Probe<'_> {
    fn certificates(mut self, own: &[PathBuf]) -> Availability {
        let found = self.host.certificates(own);
        for file in &found.files {
            self.saw(file.display().to_string());
        }
        for problem in &found.problems {
            self.saw(problem.trim_end_matches('.'));
        }
        match found.blocks.len() {
            0 => self.no(
                "No list of certificate authorities was found.",
                "Name files in `ca-certificates` of config.toml.",
            ),
            1 => self.yes("This computer trusts one certificate authority."),
            count => self.yes(format!("This computer trusts {count} certificate authorities.")),
        }
    }

    fn ssh_keys(mut self) -> Availability {
        let files = self.host.ssh_files();
        for file in &files {
            self.saw(format!("~/.ssh/{}", file.name));
        }
        match files.len() {
            0 => {
                self.no("There are no keys and no configuration in ~/.ssh.", "Make a key with `ssh-keygen`.")
            }
            1 => self.yes("There is one file of keys or configuration in ~/.ssh."),
            count => self.yes(format!("There are {count} files of keys and configuration in ~/.ssh.")),
        }
    }

    fn tokens(mut self) -> Availability {
        let mut tools = Vec::new();
        for tool in TOKEN_TOOLS {
            if let Some(path) = self.host.program(tool) {
                self.saw(path.display().to_string());
                tools.push(tool);
            }
        }
        match tools.is_empty() {
            false => self.yes(format!("There is {} on this computer.", tools.join(" and "))),
            true => self.no(
                "Neither gh nor glab is on this computer.",
                "Install one of them and log in, or set tokens by hand, e.g. `codchi secret set GH_TOKEN`.",
            ),
        }
    }
}
