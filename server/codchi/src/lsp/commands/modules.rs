//! The commands about what a machine is made of.

use super::{Failure, Named, Run, cannot_ask, source, with_log};
use crate::lsp::client::{Item, Person, Reply};
use crate::updates;
use codchi_machine::{MachineError, MachineName, Machines, ModuleSource, NixpkgsChoice, Update};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use tower_lsp::jsonrpc::Result;

#[derive(Deserialize)]
pub(super) struct Add {
    name: MachineName,
    #[serde(default)]
    modules: Vec<String>,
    #[serde(default)]
    personal: bool,
}

#[derive(Deserialize)]
pub(super) struct Set {
    name: MachineName,
    module: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Remove {
    name: MachineName,
    module: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Updating {
    name: Option<MachineName>,
    module: Option<String>,
    #[serde(default)]
    nixpkgs: bool,
    #[serde(default)]
    rebuild: bool,
}

#[derive(Deserialize)]
pub(super) struct Nixpkgs {
    name: MachineName,
    nixpkgs: Option<String>,
}

impl Run<'_> {
    pub(super) fn list_modules(&self, Named { name }: Named) -> Result<Value> {
        Ok(json!(self.shared.machines().modules(&name).map_err(Failure::from)?))
    }

    pub(super) async fn add_modules(self, Add { name, modules, personal }: Add) -> Result<Value> {
        let mut sources = modules.iter().map(|module| source(module)).collect::<Result<Vec<_>>>()?;
        self.operation(format!("Adding modules to {name}"), move |machines, front, cancel| async move {
            if sources.is_empty() && !personal {
                let title = format!("Add a module to {name}");
                sources.push(ask_source(front.person(), title, &name, "add").await?);
            }
            let done = machines.add_modules(&name, sources, personal, &front, &cancel).await;
            let added = with_log(&machines, &name, done)?;
            Ok(json!({ "name": name, "added": added }))
        })
        .await
    }

    pub(super) async fn set_module(self, Set { name, module, source: place }: Set) -> Result<Value> {
        let given = place.map(|place| source(&place)).transpose()?;
        self.operation(format!("Changing a module of {name}"), move |machines, front, cancel| async move {
            let module = which(&machines, &name, module, front.person()).await?;
            let place = match given {
                Some(place) => place,
                None => {
                    let title = format!("Take {module} from elsewhere");
                    ask_source(front.person(), title, &name, "set").await?
                }
            };
            let done = machines.set_module(&name, &module, place, &front, &cancel).await;
            with_log(&machines, &name, done)?;
            Ok(json!({ "name": name }))
        })
        .await
    }

    pub(super) async fn remove_module(self, Remove { name, module }: Remove) -> Result<Value> {
        self.operation(format!("Removing a module of {name}"), move |machines, front, cancel| async move {
            let module = which(&machines, &name, module, front.person()).await?;
            let done = machines.remove_module(&name, &module, &front, &cancel).await;
            with_log(&machines, &name, done)?;
            Ok(json!({ "name": name }))
        })
        .await
    }

    pub(super) async fn nixpkgs(self, Nixpkgs { name, nixpkgs }: Nixpkgs) -> Result<Value> {
        let title = format!("Changing the nixpkgs of {name}");
        self.operation(title, move |machines, front, cancel| async move {
            let choice = match nixpkgs {
                Some(choice) => choice,
                None => ask_nixpkgs(&machines, &name, front.person()).await?,
            };
            let choice = self::choice(&choice)?;
            let done = machines.set_nixpkgs(&name, &choice, &front, &cancel).await;
            with_log(&machines, &name, done)?;
            Ok(json!({ "name": name, "nixpkgs": choice.to_string() }))
        })
        .await
    }

    pub(super) async fn update(self, updating: Updating) -> Result<Value> {
        let Updating { name, module, nixpkgs, rebuild } = updating;
        let what = match module {
            Some(module) => Update::Module(module),
            None if nixpkgs => Update::Nixpkgs,
            None => Update::All,
        };
        let title = match &name {
            Some(name) => format!("Updating {name}"),
            None => "Updating code machines".into(),
        };
        self.operation(title, move |machines, front, cancel| async move {
            let done = updates::update(&machines, name.clone(), &what, rebuild, &front, &cancel).await;
            Ok(json!(match &name {
                Some(name) => with_log(&machines, name, done)?,
                None => done?,
            }))
        })
        .await
    }
}

/// A nixpkgs as a client names it.
pub(super) fn choice(text: &str) -> std::result::Result<NixpkgsChoice, MachineError> {
    text.parse().map_err(|error| MachineError::User { message: format!("{error}"), hint: None })
}

/// Asks where a module comes from.
async fn ask_source(
    person: &Person,
    title: String,
    name: &MachineName,
    verb: &str,
) -> std::result::Result<ModuleSource, Failure> {
    let prompt = "A folder, a .nix file or a git URL; #OUTPUT names a module output of a flake".to_owned();
    match person.text(title, prompt, String::new(), ".+", "Name a module.".into()).await {
        Reply::Given(text) => Ok(ModuleSource::parse(&text, Path::new("/")).map_err(MachineError::from)?),
        Reply::Closed => Err(MachineError::Cancelled.into()),
        Reply::CannotAsk => {
            let hint = format!("Run `codchi module {verb} {name}` in a terminal.");
            Err(cannot_ask("ask for a module", hint).into())
        }
    }
}

/// The module that is meant; the person is asked where it is not said and there are several.
async fn which(
    machines: &Machines,
    name: &MachineName,
    module: Option<String>,
    person: &Person,
) -> std::result::Result<String, Failure> {
    if let Some(module) = module {
        return Ok(module);
    }
    let mut modules = machines.modules(name)?;
    if modules.is_empty() {
        let message = format!("The code machine `{name}` has no module.");
        return Err(MachineError::User { message, hint: None }.into());
    }
    let detail = |personal| if personal { "personal".to_owned() } else { String::new() };
    let items =
        modules.iter().map(|m| Item { label: m.source.clone(), detail: detail(m.personal) }).collect();
    match person.pick(format!("Which module of {name}?"), items).await {
        Reply::Given(index) if index < modules.len() => Ok(modules.swap_remove(index).source),
        _ => Err(MachineError::Cancelled.into()),
    }
}

/// Which nixpkgs a machine is to have, with what speaks for each.
async fn ask_nixpkgs(
    machines: &Machines,
    name: &MachineName,
    person: &Person,
) -> std::result::Result<String, Failure> {
    let pin = Item {
        label: "pin".into(),
        detail: "All machines of this computer share it: what one has downloaded, the next needs not".into(),
    };
    let follow = machines.modules(name)?.into_iter().map(|module| Item {
        label: format!("follow:{}", module.source),
        detail: "What this module was tested with, and one more to download".into(),
    });
    let items: Vec<_> = std::iter::once(pin).chain(follow).collect();
    let labels: Vec<_> = items.iter().map(|item| item.label.clone()).collect();
    match person.pick(format!("Which nixpkgs for {name}?"), items).await {
        Reply::Given(index) => labels.get(index).cloned().ok_or_else(|| MachineError::Cancelled.into()),
        _ => Err(MachineError::Cancelled.into()),
    }
}
