//! `codchi delete`.

use super::operation::{self, Talk};
use super::output;
use super::prompt::{self, Reply};
use crate::context::Context;
use codchi_machine::{MachineError, MachineName};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Delete {
    /// The machine
    name: MachineName,
    /// Delete the machine's own secrets too
    #[arg(long)]
    secrets: bool,
    #[command(flatten)]
    talk: Talk,
}

impl Delete {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { name, secrets, talk } = self;
        if !talk.yes {
            let detail = format!(
                "Everything in the code machine {name} is lost{}. The project folder stays as it is.",
                if secrets { ", its secrets too" } else { "" }
            );
            match prompt::confirm(format!("Delete {name}?"), detail).await {
                Reply::Given(true) => {}
                Reply::Given(false) | Reply::Closed => return Err(MachineError::Cancelled.into()),
                Reply::CannotAsk => {
                    return Err(MachineError::User {
                        message: format!("There is no terminal to ask whether {name} is to be deleted."),
                        hint: Some(format!("Run `codchi delete {name} --yes`.")),
                    }
                    .into());
                }
            }
        }
        operation::run(context, talk, async |machines, front, cancel| {
            machines.delete(&name, secrets, front, cancel).await
        })
        .await?;
        output::print(&format!("{name} is deleted."))?;
        Ok(ExitCode::SUCCESS)
    }
}
