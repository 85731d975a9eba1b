//! `codchi nixpkgs`.

use super::operation::{self, Talk};
use super::output;
use crate::context::Context;
use codchi_machine::{MachineName, NixpkgsChoice};
use serde_json::json;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Nixpkgs {
    /// The machine
    name: MachineName,
    /// `pin`: the one that all machines of this computer share (what one has downloaded, the next needs not);
    /// `follow[:MODULE]`: that of a module's own flake (what the module was tested with, and one more to download); or a
    /// flake URL. Shown where it is not given
    #[arg(value_name = "pin|follow[:MODULE]|URL")]
    choice: Option<NixpkgsChoice>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    talk: Talk,
}

impl Nixpkgs {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { name, choice, json, talk } = self;
        if let Some(choice) = choice {
            operation::run(context, talk, async |machines, front, cancel| {
                machines.set_nixpkgs(&name, &choice, front, cancel).await
            })
            .await?;
        }
        let (choice, revision) = context.machines().nixpkgs(&name)?;
        if json {
            output::json(&json!({ "nixpkgs": choice.to_string(), "revision": revision }))?;
        } else {
            let revision = revision.map_or_else(|| "not locked yet".into(), |revision| revision.to_string());
            output::print(&format!("{choice} ({revision})"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
