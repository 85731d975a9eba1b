//! Finds out what a rebuild would change: in a temporary folder that holds what the machine's own would, so that nothing of the
//! machine changes, whatever ends it.

use super::{Difference, Preview, capabilities, packages, planned, secrets, units};
use crate::StepState;
use crate::files::{io_error, make_folder};
use crate::flake::User;
use crate::inputs;
use crate::instance::instance_name;
use crate::locked::Locked;
use crate::log::Reporter;
use crate::run::Run;
use crate::state::{Definition, Generation, Journal, Lock, MachineFolder};
use crate::{
    CancellationToken, Front, MachineError, MachineName, Machines, Operation, Paths, Step, StoreKind,
};
use codchi_driver::Exec;
use codchi_nix::path_url;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a machine may take to say what a switch would do.
const DRY_LIMIT: Duration = Duration::from_secs(30);

impl Machines {
    /// What a rebuild of a machine would change. Where `build`, the new system is built (and not switched to), as only
    /// then its packages and units can be compared; otherwise they are compared where it happens to be there.
    ///
    /// # Errors
    /// Any that evaluating and building can have.
    pub async fn preview(
        &self,
        name: &MachineName,
        build: bool,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<Preview, MachineError> {
        let machine = MachineFolder::new(self.paths(), name);
        if !machine.exists() {
            return Err(self.unknown(name));
        }
        let lock = Arc::new(Lock::take(self.paths(), name, Operation::Rebuild).await?);
        if let Some(journal) = machine.journal()? {
            return Err(MachineError::User {
                message: format!("An earlier {} of `{name}` was interrupted", journal.operation),
                hint: Some(format!("`codchi rebuild {name}` finishes or undoes it.")),
            });
        }
        let Some(definition) = machine.definition()? else { return Err(self.unknown(name)) };
        let temporary = temporary_folder(&definition, self.paths())?;
        let paths = Paths {
            data: temporary.path().join("data"),
            state: temporary.path().join("state"),
            ..self.paths().clone()
        };
        let folder = MachineFolder::new(&paths, name);
        make_folder(&folder.flake())?;
        if let Some(lock) = machine.flake_lock()? {
            folder.write_flake_lock(&lock)?;
        }
        let report = Reporter::new(&paths, name, Operation::Rebuild, front)?;
        let journal = Journal::new(Operation::Rebuild);
        let mut run = Run::new(self, name, instance_name(name)?, definition, journal, &report, cancel, lock)?;
        run.folder = folder;

        let last = if build { Step::Build } else { Step::Compare };
        let plan = [Step::Lock, Step::Evaluate, last];
        report.began(name, Operation::Rebuild, plan.to_vec());
        for (index, step) in plan.into_iter().take(2).enumerate() {
            report.step(index, step, StepState::Running);
            let done = if step == Step::Lock { run.lock_inputs().await } else { run.evaluate().await };
            report.step(index, step, if done.is_ok() { StepState::Done } else { StepState::Failed });
            done?;
        }
        report.step(2, last, StepState::Running);
        let preview = run.preview(build, temporary.path()).await;
        report.step(2, last, if preview.is_ok() { StepState::Done } else { StepState::Failed });
        preview
    }
}

impl Run<'_> {
    /// Compares what was evaluated with what the machine has.
    async fn preview(&mut self, build: bool, temporary: &Path) -> Result<Preview, MachineError> {
        let nix = self.nix().await?;
        let installable = format!("{}#toplevel", path_url(&self.folder.flake()));
        let (toplevel, plan) = self.nix_done(nix.planned(&installable, self.cancel).await)?;
        let is_there = build || plan.is_empty();
        if is_there {
            // The link keeps it from being collected for as long as it is looked at.
            let link = temporary.join("result");
            let report = self.report;
            let mut log = |line: &str| report.info(line);
            self.nix_done(nix.build_at(&installable, &link, &mut log, self.cancel).await)?;
        }
        let current = self.generations.current().cloned();
        let manifest = self.next.manifest.clone().unwrap_or_default();
        let made_of = inputs::of(&self.definition, &Locked::read(&self.folder)?);
        let before = current.as_ref().map(|generation| generation.manifest.clone()).unwrap_or_default();
        let mut preview = Preview {
            name: self.name.clone(),
            generation: current.as_ref().map_or(0, |generation| generation.number),
            same: current.as_ref().is_some_and(|generation| generation.toplevel == toplevel),
            toplevel,
            builds: Vec::new(),
            fetches: Vec::new(),
            fetch_size: None,
            inputs: match &current {
                Some(generation) if !generation.made_of.is_empty() => {
                    inputs::compare(&generation.made_of, &made_of)
                }
                _ => Vec::new(),
            },
            packages: None,
            units: None,
            secrets: secrets(&before, &manifest),
            capabilities: capabilities(&before, &manifest),
            restart: Vec::new(),
        };
        if !is_there {
            planned(&mut preview, plan);
        }
        let Some(current) = current else { return Ok(preview) };
        preview.restart = restart(&current, &preview.capabilities, self.next.user);
        if is_there {
            let old = self.nix_done(nix.closure(&current.toplevel, self.cancel).await)?;
            let new = self.nix_done(nix.closure(&preview.toplevel, self.cancel).await)?;
            preview.packages = Some(packages::compare(&old, &new));
            preview.units = self.unit_changes(&current, &preview.toplevel).await;
            preview.restart.extend(systemd_changes(&current.toplevel, &preview.toplevel));
        }
        Ok(preview)
    }

    /// What happens to units: a running machine says it itself, else the unit files do.
    async fn unit_changes(&self, current: &Generation, toplevel: &Path) -> Option<units::UnitChanges> {
        let running = self.is_running().await.unwrap_or_default();
        if running && let Some(said) = self.dry_activation(toplevel).await {
            return Some(said);
        }
        let old = units::Units::read(&current.toplevel)?;
        let new = units::Units::read(toplevel)?;
        let active = if running { self.active_units(current).await } else { None };
        Some(units::compare(&old, &new, active.as_ref()))
    }

    /// Asks the running machine what a switch to `toplevel` would do; it then does nothing.
    async fn dry_activation(&self, toplevel: &Path) -> Option<units::UnitChanges> {
        let program = codchi_nix::inside(&toplevel.join("bin/switch-to-configuration")).display().to_string();
        let exec = Exec::root([program.as_str(), "dry-activate"]);
        let asked = self.machines.driver().run(&self.instance, &exec, &[]);
        let output = tokio::time::timeout(DRY_LIMIT, asked).await.ok()?.ok()?;
        if !output.status.success() {
            return None;
        }
        let streams = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        units::said(&streams.join("\n"))
    }

    /// The units that are active; `None` where the machine does not say.
    async fn active_units(&self, current: &Generation) -> Option<BTreeSet<String>> {
        let systemctl = current.path("sw/bin/systemctl");
        let exec = Exec::root([
            systemctl.as_str(),
            "list-units",
            "--state=active,activating,reloading",
            "--plain",
            "--no-legend",
            "--full",
        ]);
        let output = self.machines.driver().run(&self.instance, &exec, &[]).await.ok()?;
        if !output.status.success() {
            return None;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Some(text.lines().filter_map(|line| line.split_whitespace().next()).map(Into::into).collect())
    }
}

/// A folder that the machine's Nix sees.
fn temporary_folder(definition: &Definition, paths: &Paths) -> Result<tempfile::TempDir, MachineError> {
    let folder = match definition.store {
        StoreKind::Host => std::env::temp_dir(),
        // What of the data folder the store instance sees.
        StoreKind::Instance => paths.data.join("store").join("previews"),
    };
    make_folder(&folder)?;
    tempfile::tempdir_in(&folder).map_err(|e| io_error("Making a folder in", &folder, e))
}

/// What takes effect only when the instance starts.
fn restart(current: &Generation, capabilities: &Difference, user: Option<User>) -> Vec<String> {
    let mut reasons = Vec::new();
    let nesting = |names: &[String]| names.iter().any(|name| name == "nesting");
    if nesting(&capabilities.added) || nesting(&capabilities.removed) {
        reasons.push("the capability `nesting` is given to an instance when it starts".into());
    }
    if user.is_some_and(|user| (user.uid, user.gid) != (current.uid, current.gid)) {
        reasons
            .push("the project folder has another owner, and ids are mapped when the instance starts".into());
    }
    reasons
}

/// Whether systemd itself is another one: a switch re-executes it, but what it set up at the start stays.
fn systemd_changes(before: &Path, after: &Path) -> Option<String> {
    let of = |toplevel: &Path| std::fs::read_link(toplevel.join("systemd")).ok();
    let (old, new) = (of(before)?, of(after)?);
    (old != new)
        .then(|| "systemd itself changes; what it set up when the machine started stays until then".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_instance_gets_when_it_starts_asks_for_a_restart() {
        let current = Generation {
            number: 1,
            toplevel: "/nix/store/1".into(),
            uid: 1000,
            gid: 1000,
            ..Generation::default()
        };
        let added = |name: &str| Difference { added: vec![name.into()], removed: Vec::new() };
        let same = Some(User { uid: 1000, gid: 1000 });
        assert_eq!(restart(&current, &added("kvm"), same), [""; 0]);
        assert_eq!(restart(&current, &added("nesting"), same).len(), 1);
        assert_eq!(restart(&current, &added("nesting"), Some(User { uid: 1, gid: 1 })).len(), 2);
    }
}
