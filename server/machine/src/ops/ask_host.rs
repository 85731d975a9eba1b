//! Whether a machine may have what its modules ask for of this computer: asked once per machine.

use crate::host_secrets::is_asked;
use crate::run::Run;
use crate::{Answer, MachineError, Offer, Question};
use codchi_host::{Capability, HostSecret};

impl Run<'_> {
    /// Asks for each host secret that the modules want and nobody has answered about; whether it asked. Without anybody to ask
    /// it is not given.
    pub(super) async fn ask_host_secrets(&mut self) -> Result<bool, MachineError> {
        let Some(manifest) = self.next.manifest.clone() else { return Ok(false) };
        let mut permissions = self.folder.permissions()?;
        for offer in std::mem::take(&mut self.next.allowed) {
            permissions.set(offer, true);
        }
        self.folder.write_permissions(&permissions)?;
        let mut asked = false;
        let mut unanswered = Vec::new();
        for secret in HostSecret::ALL.into_iter().filter(|secret| is_asked(&manifest, *secret)) {
            if permissions.host_secret(secret).is_some() {
                continue;
            }
            asked = true;
            let question = Question::Confirm {
                prompt: format!("Let the code machine {} use {} of this computer?", self.name, what(secret)),
                detail: format!(
                    "{} {} `codchi deny {} {secret}` takes it away.",
                    can(secret),
                    self.who_asks(),
                    self.name
                ),
                yes: "Allow".into(),
                no: Some("Don't Allow".into()),
            };
            match self.report.ask(question, self.cancel).await? {
                Answer::Yes => permissions.set(Offer::HostSecret(secret), true),
                Answer::No => permissions.set(Offer::HostSecret(secret), false),
                _ => {
                    unanswered.push(secret);
                    continue;
                }
            }
            // Kept at once: it is the person's word, whatever comes of the rest.
            self.folder.write_permissions(&permissions)?;
        }
        let needs_agent =
            manifest.required_capabilities.iter().any(|name| name == Capability::SshAgent.name());
        if needs_agent && permissions.host_secret(HostSecret::SshAgent) != Some(true) {
            let denied = permissions.host_secret(HostSecret::SshAgent).is_some();
            return Err(self.needs_agent(denied));
        }
        if !unanswered.is_empty() {
            let names: Vec<&str> = unanswered.into_iter().map(HostSecret::name).collect();
            self.report.warning(&format!(
                "The modules ask for {} of this computer, and there is nobody to ask whether `{}` may have it. \
                 `codchi allow {} {}` gives it.",
                names.join(", "),
                self.name,
                self.name,
                names.join(" ")
            ));
        }
        Ok(asked)
    }

    /// Which modules the machine has, as a sentence: one of them asks.
    fn who_asks(&self) -> String {
        let modules: Vec<_> =
            self.definition.modules.iter().map(|module| module.source.to_string()).collect();
        match &*modules {
            [module] => format!("The module {module} asks for it."),
            several => format!("One of its modules asks for it: {}.", several.join(", ")),
        }
    }

    fn needs_agent(&self, denied: bool) -> MachineError {
        let why = if denied { "was not given it" } else { "nobody could be asked for it" };
        let cure = if self.operation().makes() {
            "Create it with `--allow ssh-agent`".to_owned()
        } else {
            format!("Run `codchi allow {} ssh-agent`", self.name)
        };
        MachineError::User {
            message: format!("The modules require the SSH agent of this computer, and `{}` {why}", self.name),
            hint: Some(format!(
                "{cure}, or move `ssh-agent` to `codchi.optionalCapabilities` if the project works without."
            )),
        }
    }
}

/// What is asked for, after "use".
fn what(secret: HostSecret) -> &'static str {
    match secret {
        HostSecret::CaCertificates => "the certificate authorities",
        HostSecret::SshAgent => "the SSH agent",
        HostSecret::SshKeys => "your SSH keys and SSH configuration",
        HostSecret::GitCredentials => "your git identity and git credentials",
        HostSecret::Tokens => "your access tokens",
    }
}

/// What a machine can do then.
fn can(secret: HostSecret) -> &'static str {
    match secret {
        HostSecret::CaCertificates => {
            "Programs in it then trust the web servers that this computer trusts, such as a company's proxy."
        }
        HostSecret::SshAgent => {
            "Whatever runs in it can then log in and sign with all keys of your agent while the machine runs; it cannot \
             read the keys."
        }
        HostSecret::SshKeys => {
            "Whatever runs in it can then read your private keys and your SSH configuration, and keep copies."
        }
        HostSecret::GitCredentials => {
            "git in it then commits as you, and whatever runs in it can get, change and erase the passwords of your git \
             credential helper."
        }
        HostSecret::Tokens => {
            "Whatever runs in it can then read the tokens of gh and glab, and those in the vault, and act as you with them."
        }
    }
}
