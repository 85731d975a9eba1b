//! Machines under another name, as a copy, in a file and out of one.

use crate::export::{Export, Target};
use crate::files::io_error;
use crate::operate::Prepared;
use crate::ops::Original;
use crate::state::{Definition, Journal, Lock, MachineFolder, now};
use crate::{
    Answer, CancellationToken, Front, MachineError, MachineName, Machines, Operation, Question, Secret,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where to export a machine to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// The machine.
    pub name: MachineName,
    /// The file, which must not be there.
    pub file: PathBuf,
    /// What its secrets are encrypted to; they stay here where `None`.
    pub passphrase: Option<Secret>,
}

/// What to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRequest {
    /// The file.
    pub file: PathBuf,
    /// The machine's name; the one that it had where `None`.
    pub name: Option<MachineName>,
    /// The project folder to mount, absolute; the one that it had where `None`.
    pub project: Option<PathBuf>,
    /// What opens its secrets; they are left in the file where `None`.
    pub passphrase: Option<Secret>,
}

/// What an export file holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportStatus {
    /// The machine's name; `None` where it is none here.
    pub name: Option<MachineName>,
    /// When it was written, in seconds since 1970.
    pub created: u64,
    /// Where the machine's project was.
    pub project: Option<PathBuf>,
    /// Whether there is such a folder on this computer.
    pub project_found: bool,
    /// Whether there are secrets in it.
    pub secrets: bool,
}

impl Machines {
    /// Gives a machine another name; one that runs is stopped for that. Its host name follows with the next rebuild.
    ///
    /// # Errors
    /// Any, also where the new name is taken. Then it has the old name, or, where only what comes after failed, the new one.
    pub async fn rename(
        &self,
        name: &MachineName,
        to: &MachineName,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        if name == to {
            return Ok(());
        }
        let _other = Lock::take(self.paths(), to, Operation::Rename).await?;
        let prepare = |prepared: &mut Prepared| {
            self.check_free(to)?;
            if MachineFolder::new(self.paths(), to).exists() {
                return Err(MachineError::User {
                    message: format!("Something is left of a machine `{to}`"),
                    hint: Some(format!("Remove it with `codchi delete {to}`, or choose another name.")),
                });
            }
            prepared.journal.from = Some(name.clone());
            prepared.journal.to = Some(to.clone());
            Ok(())
        };
        self.operate_prepared(name, Journal::new(Operation::Rename), prepare, front, cancel).await
    }

    /// Makes `to` as a copy of a machine: generations, secrets of its own, all that is in it. The copy is not started. What is
    /// copied of one that runs is as it would be after a power cut.
    ///
    /// # Errors
    /// Any; then nothing of the copy is left.
    pub async fn duplicate(
        &self,
        name: &MachineName,
        to: &MachineName,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let _original = Lock::take(self.paths(), name, Operation::Duplicate).await?;
        let make = || {
            let folder = MachineFolder::new(self.paths(), name);
            let Some(original) = folder.definition()? else { return Err(self.unknown(name)) };
            if let Some(journal) = folder.journal()? {
                return Err(MachineError::User {
                    message: format!("An earlier {} of `{name}` was interrupted", journal.operation),
                    hint: Some(format!("`codchi start {name}` finishes or undoes it.")),
                });
            }
            let definition = Definition { id: Definition::new_id(), created: now(), ..original };
            let journal = Journal { from: Some(name.clone()), ..Journal::new(Operation::Duplicate) };
            let mut prepared = Prepared::new(definition, journal);
            prepared.next.original = Some(Original { name: name.clone(), folder });
            Ok(prepared)
        };
        self.make(to, Operation::Duplicate, make, front, cancel).await
    }

    /// Writes a machine to a file, from which it can be made again here or on another computer; one that runs is stopped
    /// meanwhile.
    ///
    /// # Errors
    /// Any, also where the file is there already; then there is no file, and the machine is as before.
    pub async fn export(
        &self,
        request: ExportRequest,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let ExportRequest { name, file, passphrase } = request;
        if file.exists() {
            return Err(MachineError::User {
                message: format!("{} is there already", file.display()),
                hint: Some("Choose another name for the export, or remove that file.".into()),
            });
        }
        let part = part(&file)?;
        let prepare = |prepared: &mut Prepared| {
            prepared.journal.file = Some(part);
            prepared.next.target = Some(Target { file, passphrase });
            Ok(())
        };
        self.operate_prepared(&name, Journal::new(Operation::Export), prepare, front, cancel).await
    }

    /// What an export file holds. Reads it to its end.
    ///
    /// # Errors
    /// Where it is no export, not whole, or of a newer codchi.
    pub async fn exported(&self, file: &Path) -> Result<ExportStatus, MachineError> {
        let export = open(file).await?;
        Ok(ExportStatus {
            name: export.name(),
            created: export.created(),
            project: export.project().map(Into::into),
            project_found: export.project().is_some_and(Path::is_dir),
            secrets: export.has_secrets(),
        })
    }

    /// Makes a machine of an export file; gives its name. It is not started.
    ///
    /// # Errors
    /// Any; then nothing of it is left.
    pub async fn import(
        &self,
        request: ImportRequest,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<MachineName, MachineError> {
        let ImportRequest { file, name, project, passphrase } = request;
        let export = Arc::new(open(&file).await?);
        let name = name.or_else(|| export.name()).ok_or_else(|| MachineError::User {
            message: format!("The machine in {} has a name that cannot be one here", file.display()),
            hint: Some("Say how to call it with `--name`.".into()),
        })?;
        let secrets = match passphrase {
            Some(passphrase) => {
                let export = Arc::clone(&export);
                // Made to take its time.
                let decrypted = tokio::task::spawn_blocking(move || export.decrypted(&passphrase));
                decrypted.await.map_err(|e| io_error("Reading", &file, std::io::Error::other(e)))??
            }
            None => std::collections::BTreeMap::new(),
        };
        let project = self.project_of(&export, project, front, cancel).await?;
        let store = self.store_of_new().await;
        let make = || {
            let id = Definition::new_id();
            let imported = self.paths().imported(&id);
            let (definition, from_file) = export.definition(id, project, &imported);
            let definition = Definition { created: now(), driver: self.driver().kind(), store, ..definition };
            if !from_file.is_empty() {
                let place = imported.display();
                tracing::info!("modules that are not on this computer are taken from the file: {place}");
            }
            let mut prepared = Prepared::new(definition, Journal::new(Operation::Import));
            prepared.next.export = Some(export);
            prepared.next.secrets = secrets;
            Ok(prepared)
        };
        self.make(&name, Operation::Import, make, front, cancel).await?;
        Ok(name)
    }

    /// The project folder of an imported machine, which must be on this computer. The file's word alone is not enough: whoever
    /// made it would choose which folder the machine can write to.
    async fn project_of(
        &self,
        export: &Export,
        given: Option<PathBuf>,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<Option<PathBuf>, MachineError> {
        let Some(was) = export.project() else { return Ok(given) };
        let is_given = given.is_some();
        let project = given.unwrap_or_else(|| was.to_owned());
        if !project.is_dir() {
            return Err(MachineError::User {
                message: format!(
                    "The machine's project folder {} is not on this computer",
                    project.display()
                ),
                hint: Some(
                    "Put it there first (it is not in the file), and say where with `--project FOLDER`."
                        .into(),
                ),
            });
        }
        if !is_given {
            let question = Question::Confirm {
                prompt: format!("Mount {} in the imported machine?", project.display()),
                detail: "It is where the file says that its project was. Everything in the machine can read and write it."
                    .into(),
                yes: "Mount".into(),
                no: None,
            };
            let answer = tokio::select! {
                answer = front.ask(question) => answer,
                () = cancel.cancelled() => Answer::Cancelled,
            };
            match answer {
                Answer::Yes => {}
                Answer::CannotAsk => {
                    return Err(MachineError::User {
                        message: format!(
                            "The file says that its project is {}, and nobody can be asked whether that is right",
                            project.display()
                        ),
                        hint: Some("Say it with `--project FOLDER`.".into()),
                    });
                }
                _ => return Err(MachineError::Cancelled),
            }
        }
        dunce::canonicalize(&project).map(Some).map_err(|e| io_error("Reading", &project, e))
    }
}

async fn open(file: &Path) -> Result<Export, MachineError> {
    let path = file.to_owned();
    let opened = tokio::task::spawn_blocking(move || Export::open(&path)).await;
    opened.map_err(|e| io_error("Reading", file, std::io::Error::other(e)))?
}

/// What the file is called while it is written: a name beside it.
fn part(file: &Path) -> Result<PathBuf, MachineError> {
    let file = std::path::absolute(file).map_err(|e| io_error("Writing", file, e))?;
    let Some(name) = file.file_name() else {
        return Err(MachineError::User {
            message: format!("{} is no file's name", file.display()),
            hint: None,
        });
    };
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(".part");
    Ok(file.with_file_name(part))
}
