//! `codchi create`.

use super::operation::{self, Talk};
use super::output;
use super::prompt::{self, Reply};
use crate::context::Context;
use crate::names;
use anyhow::Context as _;
use codchi_machine::{
    CreateRequest, MachineError, MachineName, Machines, ModuleSource, NixpkgsChoice, Offer,
};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Create {
    /// The modules: folders, .nix files or git URLs; `#OUTPUT` names a module output of a flake
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<ModuleSource>,
    /// The machine's name; that of the first module's folder or repository where it is not given
    #[arg(long)]
    name: Option<MachineName>,
    /// The folder to mount in the machine; that of the first local module where it is not given
    #[arg(long, value_name = "FOLDER")]
    project: Option<PathBuf>,
    /// Its nixpkgs: `pin`, the one that all machines of this computer share (what one has downloaded, the next needs not);
    /// `follow[:MODULE]`, that of a module's own flake (what the module was tested with, and one more to download); or a
    /// flake URL
    #[arg(long, value_name = "pin|follow[:MODULE]|URL", default_value_t = NixpkgsChoice::Pin)]
    nixpkgs: NixpkgsChoice,
    /// Let it have this host secret of the computer (ca-certificates, ssh-agent, ssh-keys, git-credentials, tokens) without asking
    #[arg(long = "allow", value_name = "OFFER", value_parser = super::allow::offer())]
    allowed: Vec<Offer>,
    #[command(flatten)]
    talk: Talk,
}

impl Create {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { sources, name, project, nixpkgs, allowed, talk } = self;
        let project = project.map(std::path::absolute).transpose()?;
        let name = match name {
            Some(name) => name,
            None => ask_name(&context.machines(), &sources, talk).await?,
        };
        let request = CreateRequest {
            name: name.clone(),
            modules: sources,
            project,
            nixpkgs: Some(nixpkgs),
            checkout: None,
            allowed,
        };
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

pub(super) async fn ask_name(
    machines: &Machines,
    sources: &[ModuleSource],
    talk: Talk,
) -> anyhow::Result<MachineName> {
    let taken: Vec<_> = machines.status().await?.into_iter().map(|machine| machine.name).collect();
    let first = sources.first().context("no module is named")?;
    let suggested = names::suggest(first, &taken);
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
