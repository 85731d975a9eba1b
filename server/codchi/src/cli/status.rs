//! `codchi status`.

use super::output;
use crate::context::Context;
use codchi_machine::{MachineError, MachineName, MachineState, MachineStatus};
use owo_colors::OwoColorize as _;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Status {
    /// Only this machine, with everything that is known about it
    name: Option<MachineName>,
    /// As JSON: a list of machines, or one
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let machines = context.machines().status().await?;
        match self.name {
            Some(name) => {
                let machine = one(machines, &name)?;
                if self.json { output::json(&machine)? } else { output::print(&details(&machine))? }
            }
            None if self.json => output::json(&machines)?,
            None => output::print(&overview(&machines))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One machine of all.
pub(crate) fn one(machines: Vec<MachineStatus>, name: &MachineName) -> Result<MachineStatus, MachineError> {
    machines.into_iter().find(|machine| machine.name == *name).ok_or_else(|| MachineError::User {
        message: format!("There is no code machine `{name}`."),
        hint: Some("`codchi status` lists those that there are.".into()),
    })
}

fn state(machine: &MachineStatus) -> String {
    let state = match machine.state {
        MachineState::Running => "running",
        MachineState::Stopped => "stopped",
        MachineState::Busy => "busy",
        MachineState::Interrupted => "interrupted",
        MachineState::Missing => "missing",
        MachineState::Unknown => "unknown",
        MachineState::Orphaned => "orphaned",
    };
    match machine.operation {
        Some(operation) => format!("{state} ({operation:?})").to_lowercase(),
        None => state.into(),
    }
}

/// Its modules, with those that are the person's own named so.
fn modules(machine: &MachineStatus) -> String {
    let is_personal = |module: &String| machine.personal_modules.contains(module);
    let named = machine
        .modules
        .iter()
        .map(|module| if is_personal(module) { format!("{module} (personal)") } else { module.clone() });
    named.collect::<Vec<_>>().join(", ")
}

fn overview(machines: &[MachineStatus]) -> String {
    if machines.is_empty() {
        return "There is no code machine yet. `codchi create SOURCE` makes one.".into();
    }
    let mut rows =
        vec![["NAME", "STATE", "GENERATION", "PROJECT", "MODULES"].map(ToOwned::to_owned).to_vec()];
    for machine in machines {
        rows.push(vec![
            machine.name.to_string(),
            state(machine),
            machine.generation.to_string(),
            machine.project.as_ref().map_or_else(|| "-".into(), |project| project.display().to_string()),
            modules(machine),
        ]);
    }
    let mut text = output::table(&rows);
    for machine in machines {
        for problem in &machine.problems {
            text.push_str(&format!("\n{} {}: {problem}", "!".yellow().bold(), machine.name));
        }
        for drift in &machine.drift {
            text.push_str(&format!("\n{} {}: {}", "~".cyan().bold(), machine.name, drift.message));
        }
    }
    text
}

fn details(machine: &MachineStatus) -> String {
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map_or_else(|| "-".into(), |path| path.display().to_string())
    };
    let mut rows = vec![
        ["Name", machine.name.as_str()].map(ToOwned::to_owned).to_vec(),
        vec!["State".into(), state(machine)],
        vec!["Driver".into(), machine.driver.to_string()],
        vec!["Generation".into(), machine.generation.to_string()],
        vec!["Modules".into(), modules(machine)],
        vec!["nixpkgs".into(), machine.nixpkgs.clone()],
        vec!["Project".into(), path(&machine.project)],
        vec!["In the machine".into(), machine.workspace.clone()],
        vec!["SSH".into(), machine.ssh_host.clone()],
        vec!["Log".into(), path(&machine.log)],
    ];
    for secret in &machine.secrets {
        let is = match (secret.set, secret.required) {
            (true, _) => "set",
            (false, true) => "not set, required",
            (false, false) => "not set",
        };
        rows.push(vec![format!("Secret {}", secret.name), format!("{is}: {}", secret.description)]);
    }
    for secret in &machine.host_secrets {
        let is = match (secret.allowed, secret.available) {
            (Some(true), true) => "allowed",
            (Some(true), false) => "allowed, not there",
            (Some(false), _) => "denied",
            (None, _) => "asked for, not answered",
        };
        rows.push(vec![format!("Host secret {}", secret.name), format!("{is}: {}", secret.message)]);
    }
    let mut text = output::table(&rows);
    for problem in &machine.problems {
        text.push_str(&format!("\n{} {problem}", "!".yellow().bold()));
    }
    for drift in &machine.drift {
        text.push_str(&format!("\n{} {}", "~".cyan().bold(), drift.message));
    }
    text
}
