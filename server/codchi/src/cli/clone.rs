//! `codchi clone`.

use super::create::ask_name;
use super::operation::{self, Talk};
use super::output;
use crate::context::Context;
use codchi_machine::{CreateRequest, MachineError, MachineName, ModuleSource, NixpkgsChoice, Repository};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Clone {
    /// The git repository that has the module; `#OUTPUT` names a module output of a flake
    #[arg(value_name = "URL")]
    source: ModuleSource,
    /// The machine's name; that of the repository where it is not given
    #[arg(long)]
    name: Option<MachineName>,
    /// Its nixpkgs: as for `create`
    #[arg(long, value_name = "pin|follow[:MODULE]|URL", default_value_t = NixpkgsChoice::Pin)]
    nixpkgs: NixpkgsChoice,
    #[command(flatten)]
    talk: Talk,
}

impl Clone {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { source, name, nixpkgs, talk } = self;
        let Some(repository) = Repository::of(&source) else {
            return Err(MachineError::User {
                message: format!("{source} is on this computer already"),
                hint: Some(format!("`codchi create {source}` mounts it in a machine.")),
            }
            .into());
        };
        let sources = vec![source];
        let name = match name {
            Some(name) => name,
            None => ask_name(&context.machines(), &sources, talk).await?,
        };
        let folder = repository.folder().to_owned();
        let request = CreateRequest {
            name: name.clone(),
            modules: sources,
            project: None,
            nixpkgs: Some(nixpkgs),
            checkout: Some(repository),
            allowed: Vec::new(),
        };
        operation::run(context, talk, async |machines, front, cancel| {
            machines.create(request, front, cancel).await
        })
        .await?;
        output::print(&format!(
            "{name} runs, with the repository in ~/{folder}. A shell there: codchi exec {name}    In an editor: codchi open {name}"
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}
