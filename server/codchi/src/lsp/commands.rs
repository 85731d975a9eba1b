//! `workspace/executeCommand`, as PROTOCOL.md has it.

mod copies;
mod gc;
mod generations;
mod modules;
mod secrets;

use super::client::{Item, Person, Reply};
use super::front::{EditorFront, title};
use super::server::Server;
use super::shared::Shared;
use crate::{doctor, error};
use codchi_machine::{
    Answer, CancellationToken, CreateRequest, Existing, Front as _, MachineError, MachineName, MachineStatus,
    Machines, ModuleSource, NixpkgsChoice, Offer, Operation, Question,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tower_lsp::jsonrpc::{Error, ErrorCode, Result};
use tower_lsp::lsp_types::{ExecuteCommandParams, ProgressToken, Url};

/// The commands' names.
pub(crate) mod name {
    pub(crate) const LIST: &str = "codchi.machine.list";
    pub(crate) const CREATE: &str = "codchi.machine.create";
    pub(crate) const REBUILD: &str = "codchi.machine.rebuild";
    pub(crate) const PREVIEW: &str = "codchi.machine.preview";
    pub(crate) const GENERATIONS: &str = "codchi.machine.generations";
    pub(crate) const ROLLBACK: &str = "codchi.machine.rollback";
    pub(crate) const DISCARD: &str = "codchi.machine.discard";
    pub(crate) const START: &str = "codchi.machine.start";
    pub(crate) const STOP: &str = "codchi.machine.stop";
    pub(crate) const DELETE: &str = "codchi.machine.delete";
    pub(crate) const RENAME: &str = "codchi.machine.rename";
    pub(crate) const DUPLICATE: &str = "codchi.machine.duplicate";
    pub(crate) const EXPORT: &str = "codchi.machine.export";
    pub(crate) const EXPORTED: &str = "codchi.machine.exported";
    pub(crate) const IMPORT: &str = "codchi.machine.import";
    pub(crate) const OPEN: &str = "codchi.machine.open";
    pub(crate) const LOG: &str = "codchi.machine.log";
    pub(crate) const PERMIT: &str = "codchi.machine.permit";
    pub(crate) const SECRET_SET: &str = "codchi.secret.set";
    pub(crate) const SECRET_ROTATE: &str = "codchi.secret.rotate";
    pub(crate) const SECRET_REMOVE: &str = "codchi.secret.remove";
    pub(crate) const SECRET_EXTRACT: &str = "codchi.secret.extract";
    pub(crate) const DOCTOR: &str = "codchi.doctor";
    pub(crate) const GC: &str = "codchi.gc";
    pub(crate) const UPDATE: &str = "codchi.machine.update";
    pub(crate) const NIXPKGS: &str = "codchi.machine.nixpkgs";
    pub(crate) const MODULE_LIST: &str = "codchi.module.list";
    pub(crate) const MODULE_ADD: &str = "codchi.module.add";
    pub(crate) const MODULE_SET: &str = "codchi.module.set";
    pub(crate) const MODULE_REMOVE: &str = "codchi.module.remove";

    /// All of them.
    pub(crate) const ALL: [&str; 30] = [
        LIST,
        CREATE,
        REBUILD,
        PREVIEW,
        GENERATIONS,
        ROLLBACK,
        DISCARD,
        START,
        STOP,
        DELETE,
        RENAME,
        DUPLICATE,
        EXPORT,
        EXPORTED,
        IMPORT,
        OPEN,
        LOG,
        PERMIT,
        SECRET_SET,
        SECRET_ROTATE,
        SECRET_REMOVE,
        SECRET_EXTRACT,
        DOCTOR,
        GC,
        UPDATE,
        NIXPKGS,
        MODULE_LIST,
        MODULE_ADD,
        MODULE_SET,
        MODULE_REMOVE,
    ];
}

#[derive(Deserialize)]
struct Create {
    module: String,
    name: Option<MachineName>,
    project: Option<PathBuf>,
    nixpkgs: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: MachineName,
}

#[derive(Deserialize)]
struct Doctor {
    name: Option<MachineName>,
}

#[derive(Deserialize)]
struct Delete {
    name: MachineName,
    #[serde(default)]
    secrets: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Open {
    Machine { name: MachineName },
    Module { module: String },
}

#[derive(Deserialize)]
struct Permit {
    name: MachineName,
    offer: String,
    allowed: bool,
}

/// Runs one command.
pub(crate) async fn execute(server: &Server, params: ExecuteCommandParams) -> Result<Option<Value>> {
    let ExecuteCommandParams { command, arguments, work_done_progress_params } = params;
    let run = Run { server, shared: server.shared(), token: work_done_progress_params.work_done_token };
    match command.as_str() {
        name::LIST => run.list().await,
        name::CREATE => run.create(argument(arguments)?).await,
        name::REBUILD => run.change(argument(arguments)?, Operation::Rebuild).await,
        name::PREVIEW => run.preview(argument(arguments)?).await,
        name::GENERATIONS => run.generations(argument(arguments)?).await,
        name::ROLLBACK => run.rollback(argument(arguments)?).await,
        name::DISCARD => run.discard(argument(arguments)?).await,
        name::START => run.change(argument(arguments)?, Operation::Start).await,
        name::STOP => run.change(argument(arguments)?, Operation::Stop).await,
        name::DELETE => run.delete(argument(arguments)?).await,
        name::RENAME => run.rename(argument(arguments)?).await,
        name::DUPLICATE => run.duplicate(argument(arguments)?).await,
        name::EXPORT => run.export(argument(arguments)?).await,
        name::EXPORTED => run.exported(argument(arguments)?).await,
        name::IMPORT => run.import(argument(arguments)?).await,
        name::OPEN => run.open(argument(arguments)?).await,
        name::LOG => run.log(argument(arguments)?).await,
        name::PERMIT => run.permit(argument(arguments)?).await,
        name::SECRET_SET => run.set_secret(argument(arguments)?, Existing::Replace).await,
        name::SECRET_ROTATE => run.set_secret(argument(arguments)?, Existing::Rotate).await,
        name::SECRET_REMOVE => run.remove_secret(argument(arguments)?).await,
        name::SECRET_EXTRACT => {
            Ok(super::extract::extract(server, argument(arguments)?).await.map_err(Failure::from)?)
        }
        name::GC => run.free(argument(arguments)?).await,
        name::UPDATE => run.update(argument(arguments)?).await,
        name::NIXPKGS => run.nixpkgs(argument(arguments)?).await,
        name::MODULE_LIST => run.list_modules(argument(arguments)?),
        name::MODULE_ADD => run.add_modules(argument(arguments)?).await,
        name::MODULE_SET => run.set_module(argument(arguments)?).await,
        name::MODULE_REMOVE => run.remove_module(argument(arguments)?).await,
        name::DOCTOR => {
            let Doctor { name } = argument(arguments)?;
            let checks = doctor::checks(&run.shared.context, name.as_ref()).await.map_err(Failure::from)?;
            run.shared.refresh.notify_one();
            Ok(json!({ "checks": checks }))
        }
        _ => Err(Error::invalid_params(format!("There is no command `{command}`."))),
    }
    .map(Some)
}

fn argument<T: DeserializeOwned>(arguments: Vec<Value>) -> Result<T> {
    let argument = arguments.into_iter().next().unwrap_or_else(|| json!({}));
    // A type's own message names fields, not their values.
    serde_json::from_value(argument)
        .map_err(|error| Error::invalid_params(format!("The command's argument is wrong: {error}.")))
}

/// Why a command failed.
struct Failure {
    error: Box<MachineError>,
    log: Option<PathBuf>,
}

impl From<MachineError> for Failure {
    fn from(error: MachineError) -> Self {
        Self { error: Box::new(error), log: None }
    }
}

impl From<Failure> for Error {
    fn from(Failure { error, log }: Failure) -> Self {
        let cancelled = matches!(*error, MachineError::Cancelled);
        let definition = match &*error {
            MachineError::Activation { definition: Some(place), .. } => Some(json!({
                "file": place.file, "line": place.line, "column": place.column,
            })),
            _ => None,
        };
        if !cancelled {
            tracing::warn!("a command failed: {error}");
        }
        let mut data = json!({});
        if let Some(log) = log {
            data["log"] = json!(log);
        }
        if let Some(definition) = definition {
            data["definition"] = definition;
        }
        if cancelled {
            data["cancelled"] = json!(true);
        }
        Self {
            // LSP's `RequestFailed` for what is well formed but did not work.
            code: if cancelled { ErrorCode::RequestCancelled } else { ErrorCode::ServerError(-32803) },
            message: error::report(&*error).into(),
            data: Some(data),
        }
    }
}

struct Run<'a> {
    server: &'a Server,
    shared: &'a Arc<Shared>,
    token: Option<ProgressToken>,
}

impl Run<'_> {
    /// Runs `work` as an operation with progress.
    async fn operation<F>(
        self,
        title: String,
        work: impl FnOnce(Machines, EditorFront, CancellationToken) -> F + Send + 'static,
    ) -> Result<Value>
    where
        F: Future<Output = std::result::Result<Value, Failure>> + Send + 'static,
    {
        let machines = self.shared.machines();
        let run = move |front, cancel| work(machines, front, cancel);
        let operations = &self.shared.operations;
        let result =
            operations.run(self.server.client(), self.shared.session(), title, self.token, run).await;
        self.shared.refresh.notify_one();
        match result {
            Some(result) => Ok(result?),
            None => Err(Error::internal_error()),
        }
    }

    async fn list(self) -> Result<Value> {
        let machines = self.shared.machines().status().await.map_err(Failure::from)?;
        Ok(json!(machines))
    }

    async fn create(self, Create { module, name, project, nixpkgs }: Create) -> Result<Value> {
        let module = source(&module)?;
        let nixpkgs = nixpkgs.map(|choice| modules::choice(&choice)).transpose().map_err(Failure::from)?;
        let title = match &name {
            Some(name) => title(Operation::Create, name.as_str()),
            None => "Creating a code machine".into(),
        };
        self.operation(title, |machines, front, cancel| async move {
            let name = create(&machines, module, name, project, nixpkgs, &front, &cancel).await?;
            Ok(json!({ "name": name }))
        })
        .await
    }

    async fn change(self, Named { name }: Named, operation: Operation) -> Result<Value> {
        self.operation(title(operation, name.as_str()), move |machines, front, cancel| async move {
            let done = match operation {
                Operation::Rebuild => machines.rebuild(&name, &front, &cancel).await,
                Operation::Start => machines.start(&name, &front, &cancel).await,
                _ => machines.stop(&name, &front, &cancel).await,
            };
            with_log(&machines, &name, done)?;
            Ok(json!({ "name": name }))
        })
        .await
    }

    async fn delete(self, Delete { name, secrets }: Delete) -> Result<Value> {
        self.operation(title(Operation::Delete, name.as_str()), move |machines, front, cancel| async move {
            let question = Question::Confirm {
                prompt: format!("Delete the code machine {name}?"),
                detail: format!(
                    "Everything in it is lost{}. The project folder stays as it is.",
                    if secrets { ", its secrets too" } else { "" }
                ),
                yes: "Delete".into(),
                no: None,
            };
            let deleted = match front.ask(question).await {
                Answer::Yes => true,
                Answer::CannotAsk => {
                    let hint = format!("Run `codchi delete {name}` in a terminal.");
                    return Err(cannot_ask("delete a code machine without asking", hint).into());
                }
                _ => false,
            };
            if deleted {
                let done = machines.delete(&name, secrets, &front, &cancel).await;
                with_log(&machines, &name, done)?;
            }
            Ok(json!({ "name": name, "deleted": deleted }))
        })
        .await
    }

    async fn open(self, open: Open) -> Result<Value> {
        match open {
            Open::Machine { name } => {
                self.operation(format!("Opening {name}"), |machines, front, cancel| async move {
                    attach(&machines, &name, &front, &cancel).await
                })
                .await
            }
            Open::Module { module } => {
                let module = source(&module)?;
                self.operation("Opening a code machine".into(), |machines, front, cancel| async move {
                    let name = match made_of(&machines, &module, front.person()).await? {
                        Some(name) => name,
                        None => create(&machines, module, None, None, None, &front, &cancel).await?,
                    };
                    attach(&machines, &name, &front, &cancel).await
                })
                .await
            }
        }
    }

    async fn log(self, Named { name }: Named) -> Result<Value> {
        Ok(json!({ "path": self.shared.machines().log(&name) }))
    }

    async fn permit(self, Permit { name, offer, allowed }: Permit) -> Result<Value> {
        let offer: Offer = offer.parse().map_err(Failure::from)?;
        let title = match allowed {
            true => format!("Giving {offer} to {name}"),
            false => format!("Taking {offer} from {name}"),
        };
        self.operation(title, move |machines, front, cancel| async move {
            let done = machines.permit(&name, &[offer], allowed, &front, &cancel).await;
            with_log(&machines, &name, done)?;
            Ok(json!({ "name": name, "offer": offer.to_string(), "allowed": allowed }))
        })
        .await
    }
}

fn cannot_ask(what: &str, hint: String) -> MachineError {
    MachineError::User { message: format!("This editor cannot {what}."), hint: Some(hint) }
}

/// A module as a client names it: as on the command line, or a `file:` URI.
fn source(text: &str) -> Result<ModuleSource> {
    let path;
    let text = match Url::parse(text) {
        Ok(url) if url.scheme() == "file" => {
            let output = url.fragment().map(|output| format!("#{output}")).unwrap_or_default();
            let file = url.to_file_path().map_err(|()| Error::invalid_params("The URI is no local path."))?;
            path = format!("{}{output}", file.display());
            &path
        }
        _ => text,
    };
    let source = ModuleSource::parse(text, Path::new("/"));
    Ok(source.map_err(|error| Failure::from(MachineError::from(error)))?)
}

/// Creates a machine and gives its name, which the person is asked for where it is not given.
async fn create(
    machines: &Machines,
    module: ModuleSource,
    name: Option<MachineName>,
    project: Option<PathBuf>,
    nixpkgs: Option<NixpkgsChoice>,
    front: &EditorFront,
    cancel: &CancellationToken,
) -> std::result::Result<MachineName, Failure> {
    let name = match name {
        Some(name) => name,
        None => ask_name(machines, &module, front.person()).await?,
    };
    let request = CreateRequest {
        name: name.clone(),
        modules: vec![module],
        project,
        nixpkgs,
        checkout: None,
        allowed: Vec::new(),
    };
    let done = machines.create(request, front, cancel).await;
    with_log(machines, &name, done)?;
    Ok(name)
}

async fn ask_name(
    machines: &Machines,
    module: &ModuleSource,
    person: &Person,
) -> std::result::Result<MachineName, Failure> {
    let taken: Vec<_> = machines.status().await?.into_iter().map(|machine| machine.name).collect();
    let suggested = crate::names::suggest(module, &taken);
    let reply = person
        .text(
            "Create a code machine".into(),
            "Its name".into(),
            suggested.to_string(),
            crate::names::PATTERN,
            crate::names::RULE.into(),
        )
        .await;
    match reply {
        Reply::Given(name) => Ok(name.parse().map_err(MachineError::from)?),
        Reply::Closed => Err(MachineError::Cancelled.into()),
        Reply::CannotAsk => Ok(suggested),
    }
}

/// The machine that is made of `module`; the person is asked where there are several.
async fn made_of(
    machines: &Machines,
    module: &ModuleSource,
    person: &Person,
) -> std::result::Result<Option<MachineName>, Failure> {
    // What every machine has says nothing about one.
    let is_made_of = |machine: &MachineStatus| {
        let mut own = machine.modules.iter().filter(|listed| !machine.personal_modules.contains(listed));
        own.any(|listed| is_of(listed, module))
    };
    let mut found: Vec<MachineStatus> = machines.status().await?.into_iter().filter(is_made_of).collect();
    if found.len() < 2 {
        return Ok(found.pop().map(|machine| machine.name));
    }
    let items = found
        .iter()
        .map(|machine| Item { label: machine.name.to_string(), detail: machine.modules.join(", ") })
        .collect();
    match person.pick("Which code machine?".into(), items).await {
        Reply::Given(index) => Ok(Some(found.swap_remove(index).name)),
        Reply::Closed | Reply::CannotAsk => Err(MachineError::Cancelled.into()),
    }
}

/// Whether a machine's module is `module`: where that names no output, the machine's may be one that was chosen.
fn is_of(listed: &str, module: &ModuleSource) -> bool {
    let named = module.to_string();
    let chosen = || listed.strip_prefix(&named).is_some_and(|rest| rest.starts_with('#'));
    listed == named || (module.output.is_none() && chosen())
}

async fn attach(
    machines: &Machines,
    name: &MachineName,
    front: &EditorFront,
    cancel: &CancellationToken,
) -> std::result::Result<Value, Failure> {
    let done = machines.attach(name, front, cancel).await;
    Ok(json!(with_log(machines, name, done)?))
}

/// Adds to a failure where its log is.
fn with_log<T>(
    machines: &Machines,
    name: &MachineName,
    result: std::result::Result<T, MachineError>,
) -> std::result::Result<T, Failure> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => Err(Failure { error: error.into(), log: machines.log(name) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_argument_is_told_without_its_values() {
        let arguments = vec![json!({ "name": 7 })];
        let error = argument::<Named>(arguments).err().unwrap();
        assert_eq!(error.code, ErrorCode::InvalidParams);
        assert!(argument::<Named>(Vec::new()).is_err(), "a name is missing");
    }

    #[test]
    fn a_module_without_an_output_is_also_that_of_the_output_that_was_chosen() {
        let source = |text: &str| ModuleSource::parse(text, Path::new("/")).unwrap();
        let of = |listed: &str, module: &str| is_of(listed, &source(module));
        assert!(of("git+https://h/a", "https://h/a") && of("git+https://h/a#x", "https://h/a"));
        assert!(!of("git+https://h/ab", "https://h/a") && !of("git+https://h/a#x", "https://h/a#y"));
        assert!(!of("git+https://h/a", "https://h/a#x"));
    }

    #[test]
    fn a_cancelled_command_says_so() {
        let error = Error::from(Failure { error: MachineError::Cancelled.into(), log: Some("/l".into()) });
        assert_eq!(error.code, ErrorCode::RequestCancelled);
        assert_eq!(error.data, Some(json!({ "cancelled": true, "log": "/l" })));
    }
}
