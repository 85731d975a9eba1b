//! `codchi create`.

use super::operation::{self, Talk};
use super::output;
use super::prompt::{self, Reply};
use crate::context::Context;
use crate::names;
use codchi_machine::{CreateRequest, MachineError, MachineName, Machines, ModuleSource};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Create {
    /// The module: a folder, a .nix file or a git URL; `#OUTPUT` names a module output of a flake
    source: ModuleSource,
    /// The machine's name; that of the module's folder or repository where it is not given
    #[arg(long)]
    name: Option<MachineName>,
    /// The folder to mount in the machine; the module's own where it is not given
    #[arg(long, value_name = "FOLDER")]
    project: Option<PathBuf>,
    /// The flake URL of nixpkgs
    #[arg(long, value_name = "URL")]
    nixpkgs: Option<String>,
    #[command(flatten)]
    talk: Talk,
}

impl Create {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { source, name, project, nixpkgs, talk } = self;
        let project = project.map(std::path::absolute).transpose()?;
        let name = match name {
            Some(name) => name,
            None => ask_name(&context.machines(), &source, talk).await?,
        };
        let request = CreateRequest { name: name.clone(), modules: vec![source], project, nixpkgs };
        operation::run(context, talk, async |machines, front, cancel| {
            machines.create(request, front, cancel).await
        })
        .await?;
        output::print(&format!(
            "{name} runs. A shell in it: codchi exec {name}    In an editor: codchi open {name}"
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn ask_name(machines: &Machines, source: &ModuleSource, talk: Talk) -> anyhow::Result<MachineName> {
    let taken: Vec<_> = machines.status().await?.into_iter().map(|machine| machine.name).collect();
    let suggested = names::suggest(source, &taken);
    if talk.yes {
        return Ok(suggested);
    }
    let valid = |text: &str| text.parse::<MachineName>().map(drop).map_err(|error| error.to_string());
    match prompt::text("The machine's name".into(), suggested.to_string(), valid).await {
        Reply::Given(name) => Ok(name.parse()?),
        Reply::Closed => Err(MachineError::Cancelled.into()),
        Reply::CannotAsk => Ok(suggested),
    }
}
