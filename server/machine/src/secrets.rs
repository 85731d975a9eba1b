//! Changing user secrets: into the vault, if the machines that they are for can have them, and from there into those of them
//! that run.

mod form;
mod turn;

use crate::files::io_error;
use crate::state::{Journal, Lock, MachineFolder, machine_names};
use crate::status::sentence;
use crate::{
    CancellationToken, Event, Front, LogLevel, MachineError, MachineName, Machines, Operation, Scope, Secret,
    SecretSpec,
};
use codchi_driver::RunState;
pub(crate) use form::{PREFIX, fits_variable, misfit};
pub use form::{is_secret_name, matches_pattern};
use std::collections::BTreeMap;
pub use turn::Turn;

/// What becomes of values that there are when others are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// They stay; only what has no value gets one.
    Keep,
    /// They are replaced.
    Replace,
    /// They are replaced; there must be one, and the new one must be another.
    Rotate,
}

/// What was changed in the vault, and in which machines.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretsChange {
    /// The secrets that were stored or removed.
    pub changed: Vec<String>,
    /// Those that had a value and kept it.
    pub kept: Vec<String>,
    /// The machines that run and have it now.
    pub delivered: Vec<MachineName>,
    /// The machines that run and do not have it yet.
    pub undelivered: Vec<Undelivered>,
}

/// A machine that runs on with what it had of the secrets.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Undelivered {
    /// Which.
    pub machine: MachineName,
    /// Why, and what to do next.
    pub reason: String,
}

/// What those who declare a secret ask for, put together for one question.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecretForm {
    /// What it is; empty where nobody says.
    pub description: String,
    /// What the whole value must match, where all ask for the same.
    pub pattern: Option<String>,
    /// Whether it may have several lines.
    pub multiline: bool,
}

/// A machine that declares a secret.
struct Declared {
    machine: MachineName,
    spec: SecretSpec,
}

impl Machines {
    /// Stores values for `scope`: all of them at once, or none. Machines that run and declare one get it at once, and their
    /// units that use it are restarted; where that fails, the value is stored all the same, and `front` and the answer say so.
    ///
    /// # Errors
    /// Where a name is no secret's, or a value is not what a machine asks for that it is for; where [`Existing::Rotate`] finds no
    /// value, or the same one; where the vault cannot be read or written. Then nothing is changed.
    pub async fn set_secrets(
        &self,
        scope: &Scope,
        values: BTreeMap<String, Secret>,
        existing: Existing,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<SecretsChange, MachineError> {
        self.vault().unlock(front).await?;
        let of_scope = scope.clone();
        let store = move |machines: &Self| {
            let mut refused = BTreeMap::new();
            for (name, value) in &values {
                refuse_name(name)?;
                if let Some(why) = machines.refusal(&of_scope, name, value)? {
                    refused.insert(name.clone(), why);
                }
            }
            let mut stored = Ok((Vec::new(), Vec::new()));
            machines.vault().edit(&of_scope, |before| {
                stored = store(&of_scope, values, existing, &refused, before);
            })?;
            stored
        };
        let (changed, kept) = self.with_files(store).await?;
        let mut change = SecretsChange { changed, kept, ..SecretsChange::default() };
        self.deliver_change(scope, &mut change, front, cancel).await;
        Ok(change)
    }

    /// Forgets a value; `None` where there was none. Machines that run lose it at once, or get the one for all machines instead.
    ///
    /// # Errors
    /// Where the vault cannot be read or written; then nothing is changed.
    pub async fn remove_secret(
        &self,
        scope: &Scope,
        name: &str,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<Option<SecretsChange>, MachineError> {
        self.vault().unlock(front).await?;
        let (of_scope, secret) = (scope.clone(), name.to_owned());
        let remove = move |machines: &Self| Ok(machines.vault().remove(&of_scope, &secret)?);
        if !self.with_files(remove).await? {
            return Ok(None);
        }
        let mut change = SecretsChange { changed: vec![name.into()], ..SecretsChange::default() };
        self.deliver_change(scope, &mut change, front, cancel).await;
        Ok(Some(change))
    }

    /// All values of a scope, for the person who wants them in a file.
    ///
    /// # Errors
    /// Where the vault cannot be read.
    pub async fn secret_values(&self, scope: &Scope) -> Result<BTreeMap<String, Secret>, MachineError> {
        let scope = scope.clone();
        self.with_files(move |machines| Ok(machines.vault().of_scope(&scope)?)).await
    }

    /// What the machines ask for that a value of `scope` is for; `None` where none of them declares the secret.
    ///
    /// # Errors
    /// Where the vault or a machine's files cannot be read.
    pub async fn secret_form(&self, scope: &Scope, name: &str) -> Result<Option<SecretForm>, MachineError> {
        let (scope, name) = (scope.clone(), name.to_owned());
        self.with_files(move |machines| {
            let specs: Vec<SecretSpec> =
                machines.declared(&scope, |secret| secret == name)?.into_iter().map(|it| it.1.spec).collect();
            Ok((!specs.is_empty()).then(|| form(&specs)))
        })
        .await
    }

    /// The machines that a value of `scope` is for, and that declare a secret that is `wanted`, each with its name: as they are
    /// built now. One of its own hides that for all machines.
    fn declared(
        &self,
        scope: &Scope,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, Declared)>, MachineError> {
        let vault = self.vault().open()?;
        let (names, all) = match scope {
            Scope::All => (machine_names(self.paths())?, true),
            Scope::Machine(machine) => (vec![machine.clone()], false),
        };
        let mut declared = Vec::new();
        for machine in names {
            // One that cannot be read is told with the machine.
            let Ok(generations) = MachineFolder::new(self.paths(), &machine).generations() else { continue };
            let Some(generation) = generations.current() else { continue };
            let secrets = generation.manifest.secrets.iter();
            let ours = secrets.filter(|(name, _)| wanted(name) && !(all && vault.has_own(&machine, name)));
            declared.extend(ours.map(|(name, spec)| {
                (name.clone(), Declared { machine: machine.clone(), spec: spec.clone() })
            }));
        }
        Ok(declared)
    }

    /// Why a value cannot be stored; says nothing of it.
    fn refusal(&self, scope: &Scope, name: &str, value: &Secret) -> Result<Option<String>, MachineError> {
        if value.expose().is_empty() {
            return Ok(Some(format!("The value of {name} is empty")));
        }
        let declared = self.declared(scope, |secret| secret == name)?;
        let misfits: Vec<String> = declared
            .into_iter()
            .filter_map(|(_, Declared { machine, spec })| {
                let must = misfit(name, value, &spec)?;
                let modules = match spec.declared_by.join(", ") {
                    none if none.is_empty() => String::new(),
                    modules => format!(" (declared by {modules})"),
                };
                Some(format!("for `{machine}` it must {must}{modules}"))
            })
            .collect();
        Ok((!misfits.is_empty())
            .then(|| format!("The value of {name} is not what it is declared to be: {}", misfits.join("; "))))
    }

    /// Delivers to each machine that runs and declares one of the changed secrets.
    async fn deliver_change(
        &self,
        scope: &Scope,
        change: &mut SecretsChange,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) {
        front.event(Event::MachinesChanged);
        let (of_scope, names) = (scope.clone(), change.changed.clone());
        let declared = self
            .with_files(move |machines| {
                machines.declared(&of_scope, |secret| names.iter().any(|name| name == secret))
            })
            .await;
        let mut machines: Vec<MachineName> =
            declared.unwrap_or_default().into_iter().map(|(_, declared)| declared.machine).collect();
        machines.dedup();
        if machines.is_empty() {
            return;
        }
        let instances = self.driver().instances().await;
        for machine in machines {
            let delivered = match &instances {
                Err(error) => Err(format!("it is not known whether it runs: {}", sentence(error, None))),
                Ok(instances) => {
                    let alias = machine.host_alias();
                    let instance = instances.iter().find(|instance| instance.name.as_str() == alias);
                    if instance.is_none_or(|instance| instance.state != RunState::Running) {
                        // Its next start delivers.
                        continue;
                    }
                    self.deliver_to(&machine, front, cancel).await
                }
            };
            match delivered {
                Ok(()) => change.delivered.push(machine),
                Err(reason) => {
                    let line = format!("`{machine}` runs on without that change: {reason}");
                    front.event(Event::Log { level: LogLevel::Warning, line });
                    change.undelivered.push(Undelivered { machine, reason });
                }
            }
        }
    }

    /// Delivers to a machine that runs; why that was not done.
    async fn deliver_to(
        &self,
        machine: &MachineName,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), String> {
        let afterwards = format!("`codchi start {machine}` delivers it then.");
        let journal = MachineFolder::new(self.paths(), machine).journal();
        // What it has left is more than a change of a secret should undo.
        if let (Ok(Some(journal)), false) = (journal, Lock::is_held(self.paths(), machine)) {
            return Err(format!("its last operation ({}) was interrupted. {afterwards}", journal.operation));
        }
        match self.operate(machine, Journal::new(Operation::Deliver), front, cancel).await {
            Ok(()) => Ok(()),
            Err(MachineError::Busy { operation, .. }) => {
                Err(format!("another operation is under way ({operation}). {afterwards}"))
            }
            Err(error) => Err(sentence(&error, error.hint().as_deref())),
        }
    }

    /// Does what reads and writes files, on a thread that may wait for that.
    async fn with_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, MachineError> + Send + 'static,
    ) -> Result<T, MachineError> {
        let machines = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&machines)).await;
        done.map_err(|e| io_error("Reading", &self.paths().data, std::io::Error::other(e)))?
    }
}

/// Which secrets were stored and which were kept.
type Stored = (Vec<String>, Vec<String>);

/// Puts `values` among those `before`; where one of them is refused, none.
fn store(
    scope: &Scope,
    values: BTreeMap<String, Secret>,
    existing: Existing,
    refused: &BTreeMap<String, String>,
    before: &mut BTreeMap<String, Secret>,
) -> Result<Stored, MachineError> {
    let is_kept = |name: &String| existing == Existing::Keep && before.contains_key(name);
    let (kept, set): (BTreeMap<_, _>, BTreeMap<_, _>) =
        values.into_iter().partition(|(name, _)| is_kept(name));
    let refused: Vec<&str> = set.keys().filter_map(|name| Some(refused.get(name)?.as_str())).collect();
    if !refused.is_empty() {
        return Err(MachineError::User {
            message: refused.join(". "),
            hint: Some("Nothing was stored. Correct that and try again.".into()),
        });
    }
    if existing == Existing::Rotate {
        for (name, value) in &set {
            check_rotation(scope, name, value, before)?;
        }
    }
    let changed = set.keys().cloned().collect();
    before.extend(set);
    Ok((changed, kept.into_keys().collect()))
}

fn check_rotation(
    scope: &Scope,
    name: &str,
    value: &Secret,
    before: &BTreeMap<String, Secret>,
) -> Result<(), MachineError> {
    match before.get(name) {
        Some(old) if old == value => Err(MachineError::User {
            message: format!("The new value of {name} is the old one"),
            hint: Some("Make a new one where the old one is from, and give that.".into()),
        }),
        Some(_) => Ok(()),
        None => Err(not_set(scope, name)),
    }
}

/// There is no value to do something with.
#[must_use]
pub fn not_set(scope: &Scope, name: &str) -> MachineError {
    let (for_whom, hint) = match scope {
        Scope::All => ("all machines".into(), "`codchi secret ls` lists what is set.".into()),
        Scope::Machine(machine) => (
            machine.to_string(),
            format!(
                "`codchi secret ls` lists what is set; a value for all machines is meant without `--machine {machine}`."
            ),
        ),
    };
    MachineError::User { message: format!("{name} is not set for {for_whom}"), hint: Some(hint) }
}

/// One question for all who declare a secret.
fn form(specs: &[SecretSpec]) -> SecretForm {
    let mut descriptions: Vec<&str> = Vec::new();
    for spec in specs {
        if !spec.description.is_empty() && !descriptions.contains(&spec.description.as_str()) {
            descriptions.push(&spec.description);
        }
    }
    let pattern = specs.first().and_then(|spec| spec.pattern.clone());
    SecretForm {
        description: descriptions.join("; "),
        pattern: pattern.filter(|pattern| specs.iter().all(|spec| spec.pattern.as_ref() == Some(pattern))),
        multiline: specs.iter().any(|spec| spec.multiline),
    }
}

/// Fails where `name` cannot be a secret's.
fn refuse_name(name: &str) -> Result<(), MachineError> {
    if is_secret_name(name) {
        return Ok(());
    }
    Err(MachineError::User {
        message: format!("`{name}` cannot be a secret's name"),
        hint: Some("It becomes an environment variable: use letters, digits and `_`, and no digit first. `env` and `file` mean something else.".into()),
    })
}
