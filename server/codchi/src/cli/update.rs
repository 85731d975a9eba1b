//! `codchi update`.

use super::operation::{self, Talk};
use super::output;
use crate::context::Context;
use crate::updates::{self, Updated};
use codchi_machine::{self as machine, InputChange, MachineName};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Update {
    /// Only this machine; all of them where it is not given
    pub(super) name: Option<MachineName>,
    /// Only this module: its number or source, as `codchi module ls` prints it
    #[arg(long, conflicts_with = "nixpkgs", requires = "name")]
    pub(super) module: Option<String>,
    /// Only nixpkgs. Without a machine, the one that all machines share
    #[arg(long)]
    pub(super) nixpkgs: bool,
    /// Rebuild with the new revisions at once; otherwise the next rebuild takes them
    #[arg(long)]
    pub(super) rebuild: bool,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) talk: Talk,
}

impl Update {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let Self { name, module, nixpkgs, rebuild, json, talk } = self;
        let what = match module {
            Some(module) => machine::Update::Module(module),
            None if nixpkgs => machine::Update::Nixpkgs,
            None => machine::Update::All,
        };
        let updated = operation::run(context, talk, async |machines, front, cancel| {
            updates::update(machines, name, &what, rebuild, front, cancel).await
        })
        .await?;
        if json {
            output::json(&updated)?
        } else {
            output::print(&shown(&updated, rebuild))?
        }
        let mut failed = false;
        for (machine, error) in
            updated.machines.iter().filter_map(|one| Some((&one.name, one.error.as_ref()?)))
        {
            failed = true;
            // As it is: there is nobody left to tell where standard error is closed.
            let _ = output::error(&format!("{machine} is as before: {error}"));
        }
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn shown(updated: &Updated, rebuild: bool) -> String {
    let mut rows = Vec::new();
    let mut row = |whose: &str, change: &InputChange| {
        let text = |revision: &Option<_>| match revision {
            Some(revision) => format!("{revision}"),
            None => "nothing".to_owned(),
        };
        let (from, to) = (text(&change.from), text(&change.to));
        let what =
            if change.from == change.to { format!("{from} (as before)") } else { format!("{from} -> {to}") };
        rows.push(vec![whose.to_owned(), change.name.clone(), what]);
    };
    if let Some(change) = &updated.shared {
        row("(shared)", change);
    }
    for machine in &updated.machines {
        for change in &machine.changes {
            row(machine.name.as_str(), change);
        }
    }
    let failed = updated.machines.iter().any(|machine| machine.error.is_some());
    let mut text = match rows.is_empty() {
        true if failed => String::new(),
        true => "There is nothing to update.\n".into(),
        false => output::table(&rows),
    };
    let changed = updated.machines.iter().filter(|machine| machine.changes.iter().any(InputChange::is_new));
    if !rebuild {
        for machine in changed {
            text.push_str(&format!("Take it with `codchi rebuild {}`.\n", machine.name));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use codchi_nix::Revision;
    use expect_test::expect;

    #[test]
    fn an_update_is_shown_from_what_to_what() {
        let revision = |commit: Option<&str>, hash: &str, date| {
            Some(Revision { commit: commit.map(Into::into), hash: Some(hash.into()), date })
        };
        let changes = vec![
            InputChange {
                name: "git+https://host/a#dev".into(),
                from: revision(Some("0123456789"), "x", Some(1_762_128_000)),
                to: revision(Some("abcdef0123"), "y", Some(1_762_300_800)),
            },
            InputChange {
                name: "nixpkgs".into(),
                from: revision(None, "sha256-x", None),
                to: revision(None, "sha256-x", None),
            },
        ];
        let machine = updates::Machine { name: "app".parse().unwrap(), changes, error: None };
        let other = updates::Machine {
            name: "other".parse().unwrap(),
            changes: Vec::new(),
            error: Some("No route\n\nHelp: Check it.".into()),
        };
        let shared =
            Some(InputChange { name: "nixpkgs".into(), from: None, to: revision(None, "sha256-x", None) });
        let updated = Updated { shared, machines: vec![machine, other] };
        expect![[r#"
            (shared)  nixpkgs                 nothing -> sha256-x
            app       git+https://host/a#dev  2025-11-03 0123456 -> 2025-11-05 abcdef0
            app       nixpkgs                 sha256-x (as before)
            Take it with `codchi rebuild app`.
        "#]]
        .assert_eq(&shown(&updated, false));
        assert_eq!(shown(&Updated::default(), false), "There is nothing to update.\n");
    }
}
