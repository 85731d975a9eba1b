//! `codchi secret ls`.

use crate::cli::output;
use codchi_machine::{MachineError, MachineName, Machines, Scope, SecretStatus};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct List {
    /// The machine whose secrets are listed, set or not; what is set for any where it is not given
    machine: Option<MachineName>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// One set secret.
#[derive(serde::Serialize)]
struct Listed {
    name: String,
    /// For which machine; for all where there is none.
    machine: Option<MachineName>,
}

impl List {
    pub(super) async fn run(self, machines: &Machines) -> anyhow::Result<ExitCode> {
        match self.machine {
            Some(machine) => of_machine(machines, &machine, self.json).await,
            None => all(machines, self.json).await,
        }
    }
}

async fn of_machine(machines: &Machines, name: &MachineName, json: bool) -> anyhow::Result<ExitCode> {
    let all = machines.status().await?;
    let known: Vec<String> = all.iter().map(|machine| format!("`{}`", machine.name)).collect();
    let machine =
        all.into_iter().find(|machine| machine.name == *name).ok_or_else(|| MachineError::User {
            message: format!("There is no machine `{name}`"),
            hint: (!known.is_empty()).then(|| format!("There are {}.", known.join(", "))),
        })?;
    if json {
        output::json(&machine.secrets)?;
    } else if machine.secrets.is_empty() {
        output::print(&format!("The modules of {name} declare no secrets."))?;
    } else {
        output::print(&shown(&machine.secrets))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(secrets: &[SecretStatus]) -> String {
    let mut rows = vec![["NAME", "VALUE", "REQUIRED", "DECLARED BY", "UNITS"].map(String::from).to_vec()];
    rows.extend(secrets.iter().map(|secret| {
        let value = match (secret.set, secret.own) {
            (false, _) => "not set",
            (true, true) => "its own",
            (true, false) => "that of all machines",
        };
        let stale = if secret.stale { ", stale" } else { "" };
        let or_none = |text: String| if text.is_empty() { "-".into() } else { text };
        vec![
            secret.name.clone(),
            format!("{value}{stale}"),
            if secret.required { "yes" } else { "no" }.into(),
            or_none(secret.declared_by.join(", ")),
            or_none(secret.units.join(", ")),
        ]
    }));
    output::table(&rows)
}

async fn all(machines: &Machines, json: bool) -> anyhow::Result<ExitCode> {
    let vault = machines.vault().clone();
    let names = tokio::task::spawn_blocking(move || vault.names()).await?.map_err(MachineError::from)?;
    let listed: Vec<_> = names
        .into_iter()
        .flat_map(|(scope, names)| {
            let machine = match scope {
                Scope::All => None,
                Scope::Machine(machine) => Some(machine),
            };
            names.into_iter().map(move |name| Listed { name, machine: machine.clone() })
        })
        .collect();
    if json {
        output::json(&listed)?;
    } else if listed.is_empty() {
        output::print("No secret is set.")?;
    } else {
        let mut rows = vec![vec!["NAME".into(), "FOR".into()]];
        rows.extend(listed.into_iter().map(|Listed { name, machine }| {
            vec![name, machine.map_or("all machines".into(), |machine| machine.to_string())]
        }));
        output::print(&output::table(&rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_machines_secrets_are_told_with_whose_they_are_and_who_uses_them() {
        let status = |name: &str, set, own, stale| SecretStatus {
            name: name.into(),
            description: "what it is".into(),
            required: set,
            set,
            provider: None,
            own,
            stale,
            declared_by: if own { vec!["/p".into(), "git+https://h/m".into()] } else { Vec::new() },
            units: if own { vec!["web".into()] } else { Vec::new() },
        };
        let secrets = [
            status("A", true, true, true),
            status("B", true, false, false),
            status("C", false, false, false),
        ];
        expect![[r#"
            NAME  VALUE                 REQUIRED  DECLARED BY          UNITS
            A     its own, stale        yes       /p, git+https://h/m  web
            B     that of all machines  yes       -                    -
            C     not set               no        -                    -
        "#]]
        .assert_eq(&shown(&secrets));
    }
}
