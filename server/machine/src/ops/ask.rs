//! What is cleared up before anything is built: capabilities, secrets, permission to touch the ssh config.

use crate::run::{Outcome, Run};
use crate::secrets::misfit;
use crate::{Answer, MachineError, Origin, Question, Scope, SecretSpec, capabilities, remembered, ssh};
use codchi_host::Capability;

/// How often a value that does not match its pattern is asked for again.
const ATTEMPTS: u32 = 3;

impl Run<'_> {
    /// [`Step::CheckCapabilities`](crate::Step::CheckCapabilities).
    pub(crate) fn check_capabilities(&mut self) -> Result<Outcome, MachineError> {
        let required =
            self.next.manifest.as_ref().map(|m| m.required_capabilities.as_slice()).unwrap_or_default();
        if required.is_empty() {
            return Ok(Outcome::Skipped);
        }
        self.report.works();
        for name in required {
            name.parse::<Capability>().map_err(|e| MachineError::User {
                message: format!("{e}"),
                hint: Some(known_capabilities()),
            })?;
        }
        let permissions = self.folder.permissions()?;
        let manifest = self.next.manifest.as_ref();
        let lacking = manifest.map(|m| capabilities::lacking(m, &permissions, &self.machines.host()));
        match lacking.unwrap_or_default() {
            lacking if lacking.is_empty() => Ok(Outcome::Done),
            lacking => Err(capabilities::refusal(&self.name, lacking)),
        }
    }

    /// [`Step::AskSecrets`](crate::Step::AskSecrets). A value is kept as soon as it is given: it is the person's input,
    /// and an operation that fails later must not lose it.
    pub(crate) async fn ask(&mut self) -> Result<Outcome, MachineError> {
        let manifest = self.next.manifest.clone().unwrap_or_default();
        let (secrets, values) = (&manifest.secrets, self.values(&manifest).await?);
        let mut missing = Vec::new();
        for (name, spec) in secrets.iter().filter(|(_, spec)| spec.required) {
            let value = values.get(name).or_else(|| self.next.secrets.get(name));
            // The module may have got its pattern after the value, or the value have been stored before the module was known.
            if value.is_some_and(|value| misfit(name, value, spec).is_none()) {
                continue;
            }
            if let Some(Origin::Provider(provider)) = values.origin(name) {
                self.report.warning(&format!(
                    "What the secret provider `{provider}` has for `{name}` does not have the form that the module asks for."
                ));
            }
            missing.push((name, spec));
        }
        let nothing = missing.is_empty();
        for (index, (name, spec)) in missing.iter().enumerate() {
            if !self.ask_secret(name, spec).await? {
                return Err(self.cannot_ask(missing[index..].iter().map(|(name, _)| name.as_str())));
            }
        }
        let asked = self.ask_host_secrets().await?;
        let asked = self.ask_ssh_config().await? || asked;
        Ok(if nothing && !asked { Outcome::Skipped } else { Outcome::Done })
    }

    /// Whether there is no value that will do. The module may have got its pattern after the value, or the value have been
    /// stored before the module was known.
    fn is_missing(&self, name: &str, spec: &SecretSpec) -> Result<bool, MachineError> {
        let value = match self.machines.vault().get(&self.name, name)? {
            None => self.next.secrets.get(name).cloned(),
            value => value,
        };
        Ok(value.is_none_or(|value| misfit(name, &value, spec).is_some()))
    }

    /// Asks for one value and keeps it; whether the front could be asked. Where somebody else asks for it now, their answer will
    /// do.
    async fn ask_secret(&self, name: &str, spec: &SecretSpec) -> Result<bool, MachineError> {
        let scope = Scope::Machine(self.name.clone());
        let wait = || self.report.progress(format!("{name} is being asked for elsewhere"), None);
        let _turn = self.machines.turn(&scope, name, wait, self.cancel).await?;
        if !self.is_missing(name, spec)? {
            return Ok(true);
        }
        let mut must = String::new();
        for _ in 0..ATTEMPTS {
            let question = Question::Secret {
                machine: self.name.clone(),
                name: name.into(),
                description: spec.description.clone(),
                pattern: spec.pattern.clone(),
                multiline: spec.multiline,
            };
            let Answer::Secret(value) = self.report.ask(question, self.cancel).await? else {
                return Ok(false);
            };
            let Some(asked) = misfit(name, &value, spec) else {
                self.machines.vault().set(&scope, name, &value)?;
                return Ok(true);
            };
            self.report.warning(&format!("The value for `{name}` must {asked}."));
            must = asked;
        }
        Err(MachineError::User {
            message: format!("The value for the secret `{name}` is not what the module asks for"),
            hint: Some(format!("It must {must}.")),
        })
    }

    fn cannot_ask<'n>(&self, names: impl Iterator<Item = &'n str>) -> MachineError {
        let names: Vec<&str> = names.collect();
        let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let commands: Vec<String> =
            names.iter().map(|name| format!("`codchi secret set {name} --machine {}`", self.name)).collect();
        MachineError::User {
            message: format!(
                "Secrets that the modules require are not set, or not in the form that they ask for: {}",
                listed.join(", ")
            ),
            hint: Some(format!("Set them with {}, then try again.", commands.join(", "))),
        }
    }

    /// Asks once per user whether the ssh config may be touched; whether it asked.
    async fn ask_ssh_config(&self) -> Result<bool, MachineError> {
        let (paths, options) = (self.machines.paths(), self.machines.options());
        if options.ssh_config.is_some() || remembered::ssh_config(paths)?.is_some() || ssh::is_included(paths)
        {
            return Ok(false);
        }
        let question = Question::Confirm {
            prompt: format!("Add `codchi-{}` to your SSH configuration?", self.name),
            detail: "One line is added to ~/.ssh/config. It includes a file of codchi's, with which `ssh codchi-NAME` \
                     and editors reach your machines. It is asked once."
                .into(),
            yes: "Add".into(),
            no: Some("Don't Add".into()),
        };
        let allowed = match self.report.ask(question, self.cancel).await? {
            Answer::Yes => true,
            Answer::No => false,
            _ => return Ok(false),
        };
        remembered::remember_ssh_config(paths, allowed)?;
        Ok(true)
    }

    /// [`Step::SshConfig`](crate::Step::SshConfig).
    pub(crate) async fn ssh_config(&mut self) -> Result<Outcome, MachineError> {
        let machines = self.machines;
        let (paths, options) = (machines.paths(), machines.options());
        if !remembered::ssh_config_allowed(paths, options)? {
            return Ok(Outcome::Skipped);
        }
        self.report.works();
        ssh::add_host(paths, &self.name, &options.program)?;
        Ok(Outcome::Done)
    }

    /// Undoes [`Self::ssh_config`].
    pub(crate) fn remove_ssh_config(&self) -> Result<Outcome, MachineError> {
        ssh::remove_host(self.machines.paths(), &self.name)?;
        Ok(Outcome::Done)
    }
}

fn known_capabilities() -> String {
    let names: Vec<&str> = Capability::ALL.into_iter().map(Capability::name).collect();
    format!("Known are {}.", names.join(", "))
}
