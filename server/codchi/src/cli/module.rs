//! `codchi module`.

use super::operation::{self, Talk};
use super::output;
use crate::context::Context;
use codchi_machine::{MachineName, ModuleSource, ModuleStatus};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Module {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Add modules to a machine and rebuild it
    Add(Add),
    /// List the modules of a machine and what is locked of them
    #[command(visible_alias = "list")]
    Ls(Ls),
    /// Take a module from elsewhere, as from a local clone or back from its remote, and rebuild the machine
    Set(Set),
    /// Remove a module from a machine and rebuild it
    #[command(visible_alias = "remove")]
    Rm(Remove),
}

#[derive(clap::Args)]
struct Add {
    /// The machine
    name: MachineName,
    /// The modules: folders, .nix files or git URLs; `#OUTPUT` names a module output of a flake
    #[arg(value_name = "SOURCE", required_unless_present = "personal")]
    sources: Vec<ModuleSource>,
    /// Add those of `personal-modules` in config.toml that it lacks
    #[arg(long)]
    personal: bool,
    #[command(flatten)]
    talk: Talk,
}

#[derive(clap::Args)]
struct Ls {
    /// The machine
    name: MachineName,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Set {
    /// The machine
    name: MachineName,
    /// The module: its number or source, as `ls` prints it
    module: String,
    /// Where it comes from now
    source: ModuleSource,
    #[command(flatten)]
    talk: Talk,
}

#[derive(clap::Args)]
struct Remove {
    /// The machine
    name: MachineName,
    /// The module: its number or source, as `ls` prints it
    module: String,
    #[command(flatten)]
    talk: Talk,
}

impl Module {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let name = match self.action {
            Action::Add(Add { name, sources, personal, talk }) => {
                let added = operation::run(context, talk, async |machines, front, cancel| {
                    machines.add_modules(&name, sources, personal, front, cancel).await
                })
                .await?;
                if added == 0 {
                    output::print(&format!("{name} has them all already."))?;
                    return Ok(ExitCode::SUCCESS);
                }
                name
            }
            Action::Ls(Ls { name, json }) => {
                let modules = context.machines().modules(&name)?;
                if json {
                    output::json(&modules)?
                } else {
                    output::print(&listed(&modules))?
                }
                return Ok(ExitCode::SUCCESS);
            }
            Action::Set(Set { name, module, source, talk }) => {
                operation::run(context, talk, async |machines, front, cancel| {
                    machines.set_module(&name, &module, source, front, cancel).await
                })
                .await?;
                name
            }
            Action::Rm(Remove { name, module, talk }) => {
                operation::run(context, talk, async |machines, front, cancel| {
                    machines.remove_module(&name, &module, front, cancel).await
                })
                .await?;
                name
            }
        };
        output::print(&listed(&context.machines().modules(&name)?))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn listed(modules: &[ModuleStatus]) -> String {
    if modules.is_empty() {
        return "It has no module.".into();
    }
    let mut rows = vec![["#", "MODULE", "LOCKED", ""].map(ToOwned::to_owned).to_vec()];
    for module in modules {
        let locked = match &module.revision {
            _ if module.local => "as it is on this computer".into(),
            Some(revision) => revision.to_string(),
            None => "not yet".into(),
        };
        let personal = if module.personal { "personal" } else { "" };
        rows.push(vec![module.number.to_string(), module.source.clone(), locked, personal.into()]);
    }
    output::table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use codchi_nix::Revision;
    use expect_test::expect;

    #[test]
    fn modules_are_listed_with_what_is_locked_of_them() {
        let module = |number, source: &str, local, personal, commit: Option<&str>| ModuleStatus {
            number,
            source: source.into(),
            personal,
            local,
            revision: commit.map(|commit| Revision {
                commit: Some(commit.into()),
                hash: None,
                date: Some(1_762_128_000),
            }),
        };
        let modules = [
            module(1, "/w/app", true, false, None),
            module(2, "git+https://host/a#dev", false, false, Some("0123456789")),
            module(3, "git+https://host/me", false, true, None),
        ];
        expect![[r#"
            #  MODULE                  LOCKED
            1  /w/app                  as it is on this computer
            2  git+https://host/a#dev  2025-11-03 0123456
            3  git+https://host/me     not yet                    personal
        "#]]
        .assert_eq(&listed(&modules));
    }
}
