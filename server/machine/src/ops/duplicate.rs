//! A machine as a copy of another one.

use super::Original;
use crate::files::make_folder;
use crate::instance::{explain_refusal, instance_name};
use crate::run::{Outcome, Run};
use crate::{MachineError, MachineName, Scope, store};
use std::collections::BTreeSet;

impl Run<'_> {
    /// [`Step::CopyState`](crate::Step::CopyState).
    pub(crate) async fn copy_state(&mut self) -> Result<Outcome, MachineError> {
        let Some(Original { name, folder }) = &self.next.original else { return Ok(Outcome::Skipped) };
        let name = name.clone();
        if let Some(lock) = folder.flake_lock()? {
            make_folder(&self.folder.flake())?;
            self.folder.write_flake_lock(&lock)?;
        }
        self.next.secrets = self.machines.vault().own(&name)?;
        self.generations = folder.generations()?;
        let current = self.target()?.number;
        let links = self.folder.profile();
        self.root(links.parent().unwrap_or(&links), self.cancel).await?;
        self.folder.point_profile(current)?;
        if !self.definition.store.is_host() {
            let paths = self.machines.paths();
            store::copy_roots(&store::machine_roots(paths, &name), &store::machine_roots(paths, &self.name))?;
        }
        Ok(Outcome::Done)
    }

    /// [`Step::CopyInstance`](crate::Step::CopyInstance).
    pub(crate) async fn copy_instance(&mut self) -> Result<Outcome, MachineError> {
        let Some(original) = &self.next.original else { return Ok(Outcome::Skipped) };
        let from = instance_name(&original.name)?;
        if self.driver().instance(&from).await?.is_none() {
            return Err(gone(&original.name));
        }
        let (spec, server) = self.spec().await?;
        let copied = self.driver().copy(&from, &self.instance, &spec).await;
        copied.map_err(|error| explain_refusal(error, &self.definition, &server))?;
        Ok(Outcome::Done)
    }

    /// [`Step::KeepSecrets`](crate::Step::KeepSecrets). A value that this name has already, from a machine that is gone,
    /// stays: it may be the only copy.
    pub(crate) fn keep_secrets(&mut self) -> Result<Outcome, MachineError> {
        let vault = self.machines.vault();
        let there: BTreeSet<String> = vault.own(&self.name)?.into_keys().collect();
        let (kept, not): (Vec<String>, Vec<String>) =
            self.next.secrets.keys().cloned().partition(|name| !there.contains(name));
        if !not.is_empty() {
            self.report.warning(&format!(
                "`{}` has values of its own for these secrets, and keeps them: {}.",
                self.name,
                not.join(", ")
            ));
        }
        if kept.is_empty() {
            return Ok(Outcome::Skipped);
        }
        self.report.works();
        self.journal.secrets_kept = kept;
        self.folder.write_journal(&self.journal)?;
        vault.add(&self.name, &self.next.secrets)?;
        Ok(Outcome::Done)
    }

    /// Undoes [`Self::keep_secrets`].
    pub(crate) fn forget_secrets(&self) -> Result<Outcome, MachineError> {
        let scope = Scope::Machine(self.name.clone());
        for name in &self.journal.secrets_kept {
            self.machines.vault().remove(&scope, name)?;
        }
        Ok(Outcome::Done)
    }
}

/// The instance of a machine is gone, and with it what there would be to copy.
pub(super) fn gone(name: &MachineName) -> MachineError {
    MachineError::User {
        message: format!("The instance of `{name}` is gone, and with it what there would be to copy"),
        hint: Some(format!("Make it again with `codchi rebuild {name}`.")),
    }
}
