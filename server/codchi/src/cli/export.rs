//! `codchi export`.

use super::operation::{self, Talk};
use super::{output, passphrase};
use crate::context::Context;
use codchi_machine::{ExportRequest, MachineName};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Export {
    /// The machine; one that runs is stopped meanwhile
    name: MachineName,
    /// The file to write; NAME.codchi in this folder where it is not given
    file: Option<PathBuf>,
    /// Take its secrets along, encrypted to a passphrase that is asked for
    #[arg(long)]
    secrets: bool,
    /// Take its secrets along, encrypted to the passphrase in this file
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    talk: Talk,
}

impl Export {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { name, file, secrets, passphrase_file, talk } = self;
        let file = std::path::absolute(file.unwrap_or_else(|| format!("{name}.codchi").into()))?;
        let passphrase = match passphrase_file {
            Some(file) => Some(passphrase::of_file(&file)?),
            None if secrets => Some(passphrase::new("A passphrase for its secrets").await?),
            None => None,
        };
        let with = if passphrase.is_some() { "with its secrets" } else { "without secrets" };
        let request = ExportRequest { name: name.clone(), file: file.clone(), passphrase };
        operation::run(context, talk, async |machines, front, cancel| {
            machines.export(request, front, cancel).await
        })
        .await?;
        output::print(&format!(
            "{name} is in {} ({with}). The project folder is not in it. On another computer: codchi import FILE",
            file.display()
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}
