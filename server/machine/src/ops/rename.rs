//! Another name: the instance's, then the folder's, with which all that is kept by name follows.
//!
//! The folder is where the operation happens: before it moves, all is undone; from then on, all is finished.

use crate::files::remove_folder;
use crate::instance::{id, instance_name};
use crate::run::{Outcome, Run};
use crate::state::MachineFolder;
use crate::{CancellationToken, MachineError, MachineName, Operation, fault, log, ssh};
use std::path::{Path, PathBuf};

impl Run<'_> {
    /// [`Step::RenameInstance`](crate::Step::RenameInstance).
    pub(crate) async fn rename_instance(&mut self) -> Result<Outcome, MachineError> {
        let Some(to) = self.journal.to.clone() else { return Ok(Outcome::Skipped) };
        if self.own_instance().await?.is_none() {
            return Ok(Outcome::Skipped);
        }
        self.report.works();
        self.driver().rename(&self.instance, &instance_name(&to)?).await?;
        Ok(Outcome::Done)
    }

    /// Undoes [`Self::rename_instance`], if it came so far.
    pub(crate) async fn rename_instance_back(&self) -> Result<Outcome, MachineError> {
        let Some(to) = &self.journal.to else { return Ok(Outcome::Skipped) };
        let to = instance_name(to)?;
        match self.driver().instance(&to).await? {
            Some(instance) if id(&instance).as_ref() == Some(&self.definition.id) => {
                self.driver().rename(&to, &self.instance).await?;
                Ok(Outcome::Done)
            }
            _ => Ok(Outcome::Skipped),
        }
    }

    /// [`Step::MoveState`](crate::Step::MoveState).
    pub(crate) async fn move_state(&mut self) -> Result<Outcome, MachineError> {
        let Some(to) = self.journal.to.clone() else { return Ok(Outcome::Skipped) };
        // What keeps the systems from being collected names a place in the folder: for as long as that moves, another does.
        self.root(&self.guard(), self.cancel).await?;
        self.folder = self.folder.moved(&MachineFolder::new(self.machines.paths(), &to))?;
        self.instance = instance_name(&to)?;
        self.name = to;
        fault::point("rename/moved")?;
        self.settle().await?;
        Ok(Outcome::Done)
    }

    /// Undoes what [`Self::move_state`] does before the folder moves.
    pub(crate) fn stay(&self) -> Result<Outcome, MachineError> {
        remove_folder(&self.guard())?;
        Ok(Outcome::Done)
    }

    /// Whether the folder of a machine that gets another name has moved already.
    pub(crate) fn is_moved(&self) -> bool {
        self.operation() == Operation::Rename && self.journal.to.as_ref() == Some(&self.name)
    }

    /// Finishes a renaming whose folder has moved.
    pub(crate) async fn finish_move(&mut self) -> Result<(), MachineError> {
        self.settle().await?;
        // Each of these is done anew by later operations; none of them makes the name another one.
        for done in [self.ssh_config().await, self.configure().await] {
            if let Err(error) = done {
                self.report.warning(&error.to_string());
            }
        }
        self.start_again().await;
        self.folder.close_journal()
    }

    /// Makes what is kept by name follow the folder.
    async fn settle(&self) -> Result<(), MachineError> {
        let Some(from) = &self.journal.from else { return Ok(()) };
        let paths = self.machines.paths();
        // There is no way back any more: who cancels now gets the new name.
        self.root(&self.profile_folder(), &CancellationToken::new()).await?;
        remove_folder(&self.guard())?;
        fault::point("rename/rooted")?;
        self.machines.vault().move_own(from, &self.name)?;
        fault::point("rename/secrets")?;
        ssh::remove_host(paths, from)?;
        log::moved(paths, from, &self.name)
    }

    fn guard(&self) -> PathBuf {
        self.machines.paths().data.join("moving").join(&self.definition.id)
    }

    fn profile_folder(&self) -> PathBuf {
        self.folder.root().join("profile")
    }

    /// Makes a link in `folder` to the system of each generation, and tells Nix that it keeps that. One that Nix has no
    /// longer cannot be kept.
    pub(super) async fn root(&self, folder: &Path, cancel: &CancellationToken) -> Result<(), MachineError> {
        let tell = |what: &str| self.report.info(what);
        let nix = self.machines.nix_of(self.definition.store, &tell, cancel).await?;
        crate::files::make_folder(folder)?;
        for generation in self.generations.all() {
            let link = folder.join(format!("system-{}-link", generation.number));
            let installable = generation.toplevel.display().to_string();
            match nix.build_at(&installable, &link, &mut |_| {}, cancel).await {
                Err(codchi_nix::NixError::Cancelled) => return Err(MachineError::Cancelled),
                Err(error) => self.report.info(&format!("Generation {}: {error}", generation.number)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Starts a machine again that ran before and was stopped for a while. That it does not start is told; it is then as
    /// if a person had stopped it.
    pub(crate) async fn start_again(&mut self) -> Outcome {
        if !self.journal.ran {
            return Outcome::Skipped;
        }
        let started = async {
            if !self.is_running().await? {
                self.start_instance().await?;
            }
            self.deliver().await
        };
        match started.await {
            Ok(_) => Outcome::Done,
            Err(error) => {
                self.report
                    .warning(&format!("`{}` was stopped and does not start again: {error}", self.name));
                Outcome::Skipped
            }
        }
    }

    /// Whether the operation stops a machine only for as long as it takes.
    pub(crate) fn stopped_for_a_while(&self) -> bool {
        matches!(self.operation(), Operation::Rename | Operation::Export)
    }
}

/// The machine that another one is made a copy of.
pub(crate) struct Original {
    pub(crate) name: MachineName,
    pub(crate) folder: MachineFolder,
}
