//! Commands that give a machine another name, copy it, write it to a file and make it of one.

use super::{Failure, Run, cannot_ask, with_log};
use crate::lsp::client::{Person, Reply};
use crate::lsp::front::title;
use codchi_machine::{ExportRequest, ImportRequest, MachineError, MachineName, Operation, Secret};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use tower_lsp::jsonrpc::Result;

#[derive(Deserialize)]
pub(super) struct Another {
    name: MachineName,
    to: Option<MachineName>,
}

#[derive(Deserialize)]
pub(super) struct Export {
    name: MachineName,
    file: PathBuf,
    #[serde(default)]
    secrets: bool,
}

#[derive(Deserialize)]
pub(super) struct OfFile {
    file: PathBuf,
}

#[derive(Deserialize)]
pub(super) struct Import {
    file: PathBuf,
    name: Option<MachineName>,
    project: Option<PathBuf>,
}

impl Run<'_> {
    pub(super) async fn rename(self, Another { name, to }: Another) -> Result<Value> {
        self.operation(title(Operation::Rename, name.as_str()), move |machines, front, cancel| async move {
            let to = match to {
                Some(to) => to,
                None => another(front.person(), format!("Rename {name}"), &name, name.to_string()).await?,
            };
            let done = machines.rename(&name, &to, &front, &cancel).await;
            with_log(&machines, &name, done)?;
            Ok(json!({ "name": to }))
        })
        .await
    }

    pub(super) async fn duplicate(self, Another { name, to }: Another) -> Result<Value> {
        let title = title(Operation::Duplicate, name.as_str());
        self.operation(title, move |machines, front, cancel| async move {
            let to = match to {
                Some(to) => to,
                None => {
                    another(front.person(), format!("Duplicate {name}"), &name, format!("{name}-2")).await?
                }
            };
            let done = machines.duplicate(&name, &to, &front, &cancel).await;
            with_log(&machines, &to, done)?;
            Ok(json!({ "name": to }))
        })
        .await
    }

    pub(super) async fn export(self, Export { name, file, secrets }: Export) -> Result<Value> {
        self.operation(title(Operation::Export, name.as_str()), move |machines, front, cancel| async move {
            let passphrase = match secrets {
                true => Some(new_passphrase(front.person(), &name).await?),
                false => None,
            };
            let request = ExportRequest { name: name.clone(), file: file.clone(), passphrase };
            let done = machines.export(request, &front, &cancel).await;
            with_log(&machines, &name, done)?;
            Ok(json!({ "name": name, "file": file }))
        })
        .await
    }

    pub(super) async fn exported(self, OfFile { file }: OfFile) -> Result<Value> {
        Ok(json!(self.shared.machines().exported(&file).await.map_err(Failure::from)?))
    }

    pub(super) async fn import(self, Import { file, name, project }: Import) -> Result<Value> {
        self.operation("Importing a code machine".into(), move |machines, front, cancel| async move {
            let exported = machines.exported(&file).await?;
            let passphrase = match exported.secrets {
                true => Some(passphrase(front.person(), "The passphrase of the secrets in it").await?),
                false => None,
            };
            let named = name.clone().or(exported.name);
            let imported =
                machines.import(ImportRequest { file, name, project, passphrase }, &front, &cancel).await;
            let name = match (imported, named) {
                (imported, Some(named)) => with_log(&machines, &named, imported)?,
                (imported, None) => imported?,
            };
            Ok(json!({ "name": name }))
        })
        .await
    }
}

/// Another name than `name`.
async fn another(
    person: &Person,
    title: String,
    name: &MachineName,
    suggested: String,
) -> std::result::Result<MachineName, Failure> {
    let reply = person
        .text(title, "Its new name".into(), suggested, crate::names::PATTERN, crate::names::RULE.into())
        .await;
    match reply {
        Reply::Given(name) => Ok(name.parse().map_err(MachineError::from)?),
        Reply::Closed => Err(MachineError::Cancelled.into()),
        Reply::CannotAsk => {
            Err(cannot_ask("ask for a name", format!("Run `codchi rename {name} NEW` in a terminal.")).into())
        }
    }
}

/// Asked twice: a passphrase that nobody knows opens nothing.
async fn new_passphrase(person: &Person, name: &MachineName) -> std::result::Result<Secret, Failure> {
    let first = passphrase(person, &format!("A passphrase for the secrets of {name}")).await?;
    if passphrase(person, "The passphrase again").await? == first {
        return Ok(first);
    }
    let message = "The two passphrases differ".into();
    Err(MachineError::User { message, hint: Some("Try again.".into()) }.into())
}

async fn passphrase(person: &Person, prompt: &str) -> std::result::Result<Secret, Failure> {
    let pattern = Some(".+".to_owned());
    match person.secret("Passphrase".into(), prompt.into(), pattern, false).await {
        Reply::Given(value) => Secret::new(value).ok_or_else(|| {
            let message = "A passphrase cannot hold a NUL byte".into();
            MachineError::User { message, hint: None }.into()
        }),
        Reply::Closed => Err(MachineError::Cancelled.into()),
        Reply::CannotAsk => {
            let hint = "`codchi export` and `codchi import` ask for it in a terminal.".into();
            Err(cannot_ask("ask for a passphrase", hint).into())
        }
    }
}
