//! What is known about a machine: the JSON of `codchi status --json` and of `codchi/machinesChanged`.

use crate::drift::{self, Drift};
use crate::files::io_error;
use crate::host_secrets::Found;
use crate::instance::{is_own, machine_of};
use crate::state::{Definition, Lock, MachineFolder, Runtime, machine_names};
use crate::vault::Opened;
use crate::{
    CapabilityStatus, HostSecretStatus, MachineError, MachineName, Machines, Manifest, Operation, SecretSpec,
    StoreKind, VaultError, capabilities,
};
use codchi_driver::{DriverError, DriverKind, Instance, RunState};
use codchi_host::Host;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A machine and how it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineStatus {
    /// Its name.
    pub name: MachineName,
    /// How it is.
    pub state: MachineState,
    /// What is being done to it, by whichever process.
    pub operation: Option<Operation>,
    /// What runs it.
    pub driver: DriverKind,
    /// Its modules, as a person writes them.
    pub modules: Vec<String>,
    /// Those of its modules that are the person's own, added to every machine.
    pub personal_modules: Vec<String>,
    /// Its nixpkgs: `pin`, `follow:MODULE` or a flake URL; empty where it is not known.
    pub nixpkgs: String,
    /// The local folders its modules live in.
    pub module_folders: Vec<PathBuf>,
    /// The project folder on the host that is mounted in it.
    pub project: Option<PathBuf>,
    /// Where that folder is in the machine.
    pub workspace: String,
    /// The host alias for SSH.
    pub ssh_host: String,
    /// The current generation; 0 before the first.
    pub generation: u32,
    /// The secrets its modules declare (as of the last evaluation).
    pub secrets: Vec<SecretStatus>,
    /// What of this computer its modules ask for, or the person has answered about.
    pub host_secrets: Vec<HostSecretStatus>,
    /// The same of capabilities.
    pub capabilities: Vec<CapabilityStatus>,
    /// Its last operation's log, where there is one.
    pub log: Option<PathBuf>,
    /// What is wrong and what to do about it, as sentences; empty where all is well.
    pub problems: Vec<String>,
    /// What differs from what would be made now; empty where it is up to date, or an operation is under way.
    pub drift: Vec<Drift>,
}

/// How a machine is. Whether it runs is the driver's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    /// It runs.
    Running,
    /// It is stopped.
    Stopped,
    /// An operation is under way.
    Busy,
    /// An operation was interrupted; the next one finishes or undoes it.
    Interrupted,
    /// Its instance is gone; a rebuild makes it again.
    Missing,
    /// The driver reports an error, or cannot be asked.
    Unknown,
    /// There is an instance that was made here, and nothing else is known of it: the machine's files are gone.
    Orphaned,
}

/// A declared secret of a machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretStatus {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Whether the machine needs it.
    pub required: bool,
    /// Whether there is a value, as far as that is known without asking anybody.
    pub set: bool,
    /// The provider that has the value, where the vault has none: in the environment, in a file, or when it was last
    /// delivered.
    pub provider: Option<String>,
    /// Whether that is the machine's own, and not the one for all machines.
    pub own: bool,
    /// Whether the running machine has another value than the vault.
    pub stale: bool,
    /// The modules that declare it, as a person writes them.
    pub declared_by: Vec<String>,
    /// The systemd services that use it, without `.service`.
    pub units: Vec<String>,
}

fn lost_system(name: &MachineName) -> String {
    format!("The store is gone, and the system of `{name}` with it. `codchi rebuild {name}` makes both anew.")
}

impl Machines {
    /// How every machine is, sorted by name; one round trip to the driver, and one more where the store
    /// instance that machines have is not there. A driver that cannot be asked is told in
    /// each machine's problems, not as an error.
    ///
    /// # Errors
    /// Where the state folder cannot be read.
    pub async fn status(&self) -> Result<Vec<MachineStatus>, MachineError> {
        let names = machine_names(self.paths())?;
        let instances = self.driver().instances().await;
        if names.is_empty() && instances.is_err() {
            return Ok(Vec::new());
        }
        let is_store_lost = match &instances {
            Ok(instances) => self.is_store_lost(instances).await,
            Err(_) => false,
        };
        let machines = self.clone();
        // Files are read, many where modules have changed.
        let work = tokio::task::spawn_blocking(move || {
            let (vault, host) = (machines.vault().open(), machines.host());
            let at_hand = machines.options().providers.at_hand(&machines.paths().home);
            let found = Found::look(&host, &machines.options().ca_certificates);
            let status = |name| {
                let mut status = machines.status_of(name, &instances, &vault, &at_hand, &host, &found);
                if is_store_lost
                    && status.state != MachineState::Busy
                    && machines.has_shared_store(&status.name)
                {
                    status.problems.insert(0, lost_system(&status.name));
                }
                status
            };
            let orphans = machines.orphans(&names, &instances);
            let mut all: Vec<MachineStatus> = names.into_iter().map(status).chain(orphans).collect();
            all.sort_by(|a, b| a.name.cmp(&b.name));
            all
        });
        work.await.map_err(|e| io_error("Reading", &self.paths().data, std::io::Error::other(e)))
    }

    /// What to tell of a machine in which no program is found, where that is because its store is gone. `None` where it is there, or not known.
    pub async fn lost_system(&self, name: &MachineName) -> Option<String> {
        let is_lost =
            self.has_shared_store(name) && self.is_store_lost(&self.driver().instances().await.ok()?).await;
        is_lost.then(|| lost_system(name))
    }

    /// Whether the machine is in the store instance's store.
    fn has_shared_store(&self, name: &MachineName) -> bool {
        let definition = MachineFolder::new(self.paths(), name).definition();
        matches!(definition, Ok(Some(definition)) if definition.store == StoreKind::Instance)
    }

    /// Instances that were made here for machines that there are no more.
    fn orphans(
        &self,
        names: &[MachineName],
        instances: &Result<Vec<Instance>, DriverError>,
    ) -> Vec<MachineStatus> {
        let instances = instances.as_deref().unwrap_or_default().iter();
        let names = instances
            // One whose machine is about to get another name is nobody's orphan.
            .filter(|instance| names.iter().all(|name| name.host_alias() != instance.name.as_str()))
            .filter_map(|instance| machine_of(instance, &self.paths().data))
            .filter(|name| !names.contains(name) && !Lock::is_held(self.paths(), name));
        let orphan = |name: MachineName| MachineStatus {
            state: MachineState::Orphaned,
            operation: None,
            driver: self.driver().kind(),
            modules: Vec::new(),
            personal_modules: Vec::new(),
            nixpkgs: String::new(),
            module_folders: Vec::new(),
            project: None,
            workspace: String::new(),
            ssh_host: name.host_alias(),
            generation: 0,
            secrets: Vec::new(),
            host_secrets: Vec::new(),
            capabilities: Vec::new(),
            log: self.log(&name),
            problems: vec![format!(
                "Its files are gone, and only its instance `{}` is left. `codchi delete {name}` removes that.",
                name.host_alias()
            )],
            drift: Vec::new(),
            name,
        };
        names.map(orphan).collect()
    }

    fn status_of(
        &self,
        name: MachineName,
        instances: &Result<Vec<Instance>, DriverError>,
        vault: &Result<Opened, VaultError>,
        at_hand: &BTreeMap<String, String>,
        host: &Host,
        found: &Found,
    ) -> MachineStatus {
        let folder = MachineFolder::new(self.paths(), &name);
        let mut problems = Vec::new();
        let definition = readable(folder.definition(), &mut problems).flatten();
        let generations = readable(folder.generations(), &mut problems).unwrap_or_default();
        let runtime = readable(folder.runtime(), &mut problems).flatten();
        let journal = readable(folder.journal(), &mut problems).flatten();
        let permissions = readable(folder.permissions(), &mut problems).unwrap_or_default();
        let generation = generations.current();
        let manifest = generation.map(|generation| &generation.manifest);

        let of_files = problems.len();
        let alias = name.host_alias();
        let instance = instances.iter().flatten().find(|instance| instance.name.as_str() == alias);
        let mut state = match (instances, &definition) {
            (Err(error), _) => {
                problems.push(sentence(error, error.hint().as_deref()));
                MachineState::Unknown
            }
            (Ok(_), None) => MachineState::Unknown,
            (Ok(_), Some(definition)) => {
                instance_state(&name, definition, instance, runtime.as_ref(), &mut problems)
            }
        };
        let operation = journal.as_ref().map(|j| j.operation);
        if let Some(operation) = operation {
            if Lock::is_held(self.paths(), &name) {
                state = MachineState::Busy;
                // What looks wrong in between is not.
                problems.clear();
            } else {
                state = MachineState::Interrupted;
                if operation.makes() || operation == Operation::Delete {
                    // An instance that is not as it should be is what there is to expect of that.
                    problems.truncate(of_files);
                }
                problems.push(interrupted(&name, operation));
            }
        }
        let provider = |secret: &String| {
            let delivered = runtime.as_ref().and_then(|runtime| runtime.provided.get(secret));
            at_hand.get(secret).or(delivered).cloned()
        };
        let is_settled = !matches!(state, MachineState::Busy | MachineState::Interrupted);
        let (mut drift, mut given, mut stale) = (Vec::new(), None, BTreeMap::new());
        if let (Some(generation), Some(definition), true) = (generation, &definition, is_settled) {
            let modules = definition.modules.iter().map(|module| &module.source);
            drift.extend(drift::of(&name, modules, generation, host));
            let own = instance.filter(|instance| is_own(instance, definition));
            let runs = own.filter(|instance| instance.state == RunState::Running);
            let known = runs.and_then(|instance| runtime.as_ref().filter(|it| it.start == instance.started));
            if let (Some(delivered), Ok(vault)) = (known.and_then(|it| it.secrets.as_ref()), vault) {
                stale = drift::stale_secrets(&name, generation, delivered, vault);
                drift.extend(drift::of_secrets(&name, &stale));
            }
            drift.extend(known.and_then(|it| drift::of_host(&name, &it.host, &found.digests)));
            given = known.and_then(|it| it.capabilities.as_ref());
            if let Some(given) = given {
                drift.extend(drift::of_capabilities(&name, &generation.manifest, &permissions, host, given));
            }
            drift.extend(own.and_then(|instance| drift::of_instance(&name, instance)));
        }
        let secrets = match (vault, manifest) {
            (_, None) => Vec::new(),
            (Ok(vault), Some(manifest)) => secret_status(manifest, &name, vault, &stale, provider),
            (Err(VaultError::Locked { .. }), Some(manifest)) if manifest.secrets.is_empty() => Vec::new(),
            (Err(error), Some(_)) => {
                problems.push(sentence(error, error.hint().as_deref()));
                Vec::new()
            }
        };
        MachineStatus {
            drift,
            state,
            operation,
            driver: definition.as_ref().map_or_else(|| self.driver().kind(), |d| d.driver),
            modules: definition.iter().flat_map(|d| &d.modules).map(|m| m.source.to_string()).collect(),
            personal_modules: definition
                .iter()
                .flat_map(|d| &d.modules)
                .filter(|module| module.personal)
                .map(|module| module.source.to_string())
                .collect(),
            nixpkgs: definition.as_ref().map(|d| d.nixpkgs_choice().to_string()).unwrap_or_default(),
            module_folders: definition.as_ref().map(Definition::module_folders).unwrap_or_default(),
            project: definition.as_ref().and_then(|d| d.project.clone()),
            workspace: definition.as_ref().map(Definition::workspace).unwrap_or_default(),
            ssh_host: name.host_alias(),
            generation: generation.map_or(0, |g| g.number),
            secrets,
            host_secrets: manifest
                .map(|m| found.status(&name, m, &permissions, vault.as_ref().ok()))
                .unwrap_or_default(),
            capabilities: manifest
                .map(|m| capabilities::status(&name, m, &permissions, host, given))
                .unwrap_or_default(),
            log: self.log(&name),
            problems,
            name,
        }
    }
}

/// What was read; a failure becomes a problem.
fn readable<T>(result: Result<T, MachineError>, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|error| problems.push(sentence(&error, error.hint().as_deref()))).ok()
}

/// An error as a sentence, with its causes and what to do.
pub(crate) fn sentence(error: &dyn std::error::Error, hint: Option<&str>) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    match hint {
        Some(hint) => format!("{text}. {hint}"),
        None => format!("{text}."),
    }
}

fn instance_state(
    name: &MachineName,
    definition: &Definition,
    instance: Option<&Instance>,
    runtime: Option<&Runtime>,
    problems: &mut Vec<String>,
) -> MachineState {
    if let Some(project) = definition.project.as_deref().filter(|project| !project.is_dir()) {
        problems.push(format!("The project folder {} is gone: the machine cannot start.", project.display()));
    }
    let Some(instance) = instance else {
        problems.push(format!("Its instance is gone. Make it again with `codchi rebuild {name}`."));
        return MachineState::Missing;
    };
    if !is_own(instance, definition) {
        problems.push(format!(
            "The instance `{}` was made for another machine. Delete it with the engine's tools, then make this one's \
             again with `codchi rebuild {name}`.",
            instance.name
        ));
        return MachineState::Missing;
    }
    match instance.state {
        RunState::Stopped => MachineState::Stopped,
        RunState::Changing => MachineState::Busy,
        RunState::Failed => {
            problems.push(format!(
                "The engine reports an error for its instance. Try `codchi stop {name}` and `codchi start {name}`."
            ));
            MachineState::Unknown
        }
        RunState::Running => {
            match runtime.filter(|runtime| runtime.start == instance.started) {
                None => problems.push(format!(
                    "It was not started by codchi and has no secrets yet. `codchi start {name}` delivers them."
                )),
                Some(runtime) if !runtime.failed_units.is_empty() => problems.push(format!(
                    "Units that failed in it: {}. See `codchi exec {name} systemctl status UNIT`.",
                    runtime.failed_units.join(", ")
                )),
                Some(_) => {}
            }
            MachineState::Running
        }
    }
}

fn interrupted(name: &MachineName, operation: Operation) -> String {
    match operation {
        Operation::Create => format!(
            "Its creation was interrupted. Create it again, or remove what is left with `codchi delete {name}`."
        ),
        Operation::Delete => format!("Its deletion was interrupted. `codchi delete {name}` goes on with it."),
        Operation::Rebuild => {
            format!(
                "A rebuild was interrupted. The next operation undoes it; try `codchi rebuild {name}` again."
            )
        }
        Operation::Rollback => format!(
            "A rollback was interrupted. The next operation undoes it; try `codchi rollback {name}` again."
        ),
        Operation::Update => format!(
            "An update was interrupted. The next operation undoes it; try `codchi update {name}` again."
        ),
        Operation::Rename => {
            format!(
                "It was about to get another name. The next operation finishes or undoes that: `codchi start {name}`."
            )
        }
        Operation::Duplicate | Operation::Import => {
            format!(
                "It was not made to its end. Remove what is left with `codchi delete {name}`, then try again."
            )
        }
        Operation::Deliver => {
            format!("The delivery of its secrets was interrupted. `codchi start {name}` delivers them.")
        }
        Operation::Start | Operation::Stop | Operation::Export => {
            format!("An operation ({operation}) was interrupted. Try `codchi {operation} {name}` again.")
        }
    }
}

fn secret_status(
    manifest: &Manifest,
    machine: &MachineName,
    vault: &Opened,
    stale: &BTreeMap<String, &str>,
    provider: impl Fn(&String) -> Option<String>,
) -> Vec<SecretStatus> {
    let status = |(name, spec): (&String, &SecretSpec)| {
        let is_stored = vault.value(machine, name).is_some();
        let provider = if is_stored { None } else { provider(name) };
        SecretStatus {
            name: name.clone(),
            description: spec.description.clone(),
            required: spec.required,
            set: is_stored || provider.is_some(),
            provider,
            own: vault.has_own(machine, name),
            stale: stale.contains_key(name),
            declared_by: spec.declared_by.clone(),
            units: spec.units.clone(),
        }
    };
    manifest.secrets.iter().map(status).collect()
}
