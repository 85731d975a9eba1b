//! What is cleared up before anything is built: capabilities, secrets, permission to touch the ssh config.

use crate::run::{Outcome, Run};
use crate::{
    Answer, MachineError, Origin, Question, Scope, Secret, SecretSpec, capabilities, remembered, ssh,
};
use codchi_host::{Capability, Host};
use regex::bytes::Regex;

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
        let host = Host::this();
        let (mut reasons, mut remedies) = (Vec::new(), Vec::new());
        for name in required {
            let capability: Capability = name.parse().map_err(|e| MachineError::User {
                message: format!("{e}"),
                hint: Some(known_capabilities()),
            })?;
            let found = host.probe(capability);
            if !found.available {
                reasons.push(format!("`{name}` ({})", found.probed.trim_end_matches('.')));
                remedies.extend(found.remedy);
            } else if !capabilities::is_supported(capability) {
                reasons.push(format!("`{name}` (this version of codchi cannot hand it into a machine yet)"));
            }
        }
        if reasons.is_empty() {
            return Ok(Outcome::Done);
        }
        Err(MachineError::User {
            message: format!("The modules need what this computer does not offer: {}", reasons.join(", ")),
            hint: Some(if remedies.is_empty() {
                "Move it to `codchi.optionalCapabilities` if the project works without.".into()
            } else {
                remedies.join(" ")
            }),
        })
    }

    /// [`Step::AskSecrets`](crate::Step::AskSecrets). A value is kept as soon as it is given: it is the person's input,
    /// and an operation that fails later must not lose it.
    pub(crate) async fn ask(&mut self) -> Result<Outcome, MachineError> {
        let manifest = self.next.manifest.clone().unwrap_or_default();
        let (secrets, values) = (&manifest.secrets, self.values(&manifest).await?);
        let mut missing = Vec::new();
        for (name, spec) in secrets.iter().filter(|(_, spec)| spec.required) {
            // The module may have got its pattern after the value, or the value have been stored before the module was known.
            let value = values.get(name).or_else(|| self.next.secrets.get(name));
            if value.is_some_and(|value| has_form(value, spec)) {
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
        let asked = self.ask_ssh_config().await?;
        Ok(if nothing && !asked { Outcome::Skipped } else { Outcome::Done })
    }

    /// Asks for one value and keeps it; whether the front could be asked.
    async fn ask_secret(&self, name: &str, spec: &SecretSpec) -> Result<bool, MachineError> {
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
            if has_form(&value, spec) {
                self.machines.vault().set(&Scope::Machine(self.name.clone()), name, &value)?;
                return Ok(true);
            }
            self.report
                .warning(&format!("The value for `{name}` does not have the form that the module asks for."));
        }
        Err(MachineError::User {
            message: format!("The value for the secret `{name}` does not match its pattern"),
            hint: spec.pattern.as_ref().map(|p| format!("The whole value must match `{p}`.")),
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

/// Whether a value has the form that the module asks for. A pattern that this engine cannot read is left to the person.
fn has_form(value: &Secret, spec: &SecretSpec) -> bool {
    let pattern = spec.pattern.as_ref().and_then(|pattern| Regex::new(&format!("^(?s:{pattern})$")).ok());
    pattern.is_none_or(|pattern| pattern.is_match(value.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_form_of_the_whole_pattern_and_a_pattern_that_cannot_be_read_asks_for_none() {
        let spec = |pattern: Option<&str>| SecretSpec {
            description: String::new(),
            required: true,
            env: true,
            file: false,
            pattern: pattern.map(Into::into),
            multiline: false,
            units: Vec::new(),
            owner: "codchi".into(),
            mode: "0400".into(),
        };
        let has = |value: &str, pattern| has_form(&Secret::new(value).unwrap(), &spec(pattern));
        assert!(has("anything", None) && has("123", Some("[0-9]+")) && has("a\nb", Some("a.b")));
        assert!(!has("abc", Some("[0-9]+")) && !has("123x", Some("[0-9]+")) && !has("1\n2", Some("[0-9]+")));
        assert!(has("anything", Some("(")));
    }
}
