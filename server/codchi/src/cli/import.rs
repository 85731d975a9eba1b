//! `codchi import`.

use super::operation::{self, Talk};
use super::prompt::{self, Reply};
use super::{output, passphrase};
use crate::context::Context;
use codchi_machine::{ImportRequest, MachineError, MachineName, Secret};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Import {
    /// The file that `codchi export` wrote
    file: PathBuf,
    /// The machine's name; the one that it had where it is not given
    #[arg(long)]
    name: Option<MachineName>,
    /// Where its project folder is on this computer; where it was where it is not given
    #[arg(long, value_name = "FOLDER")]
    project: Option<PathBuf>,
    /// Leave the secrets in the file; those that the modules require are asked for
    #[arg(long)]
    no_secrets: bool,
    /// The file with the passphrase that opens its secrets; asked for where it is not given
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    talk: Talk,
}

impl Import {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { file, name, project, no_secrets, passphrase_file, talk } = self;
        let project = project.map(std::path::absolute).transpose()?;
        let secrets = !no_secrets && context.machines().exported(&file).await?.secrets;
        let passphrase = match passphrase_file {
            Some(path) if secrets => Some(passphrase::of_file(&path)?),
            None if secrets => Some(ask(&file).await?),
            _ => None,
        };
        let request = ImportRequest { file, name, project, passphrase };
        let name = operation::run(context, talk, async |machines, front, cancel| {
            machines.import(request, front, cancel).await
        })
        .await?;
        output::print(&format!("{name} is imported. Start it with: codchi start {name}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn ask(file: &Path) -> anyhow::Result<Secret> {
    match prompt::secret(format!("The passphrase of the secrets in {}", file.display()), None, false).await {
        Reply::Given(secret) => Ok(secret),
        Reply::Closed => Err(MachineError::Cancelled.into()),
        Reply::CannotAsk => Err(passphrase::cannot_ask().into()),
    }
}
