//! `codchi vault`: how the vault is, and what can be done with it as a whole.

use super::front::TerminalFront;
use super::operation::cancelled_by_signals;
use super::prompt::{self, Reply};
use super::{output, passphrase};
use crate::context::Context;
use codchi_machine::{
    Backup, CancellationToken, KeyPlace, LockedBy, MachineError, MachineName, ProviderAnswer, ProviderStatus,
    Repaired, Vault, VaultState, VaultStatus,
};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct VaultCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show where the vault and its key are, what backups there are, and how the providers are
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Protect the vault's key with a passphrase, or change that; an operation that needs a secret asks for it once
    Passphrase {
        /// Take the passphrase away
        #[arg(long, conflicts_with = "passphrase_file")]
        remove: bool,
        /// The new passphrase is the first line of this file
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Set a damaged vault aside, and take the newest backup that can be read in its place
    Repair {
        /// Do not ask first
        #[arg(long, short)]
        yes: bool,
    },
    /// Take a backup in the place of the vault, which is then the newest backup itself
    Restore {
        /// The backup's file; the newest that can be read where it is not given
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// Do not ask first
        #[arg(long, short)]
        yes: bool,
    },
    /// Where values come from that the vault does not have
    #[command(subcommand)]
    Providers(Providers),
}

#[derive(clap::Subcommand)]
enum Providers {
    /// Ask each provider for a secret, and say what it answers; never the value
    Test {
        /// The secret's name, without `CODCHI_`
        name: String,
        /// For this machine
        #[arg(long)]
        machine: Option<MachineName>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// `status --json`.
#[derive(serde::Serialize)]
struct Status {
    #[serde(flatten)]
    vault: VaultStatus,
    providers: Vec<ProviderStatus>,
}

impl VaultCommand {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Status { json } => status(context, json).await,
            Command::Passphrase { remove, passphrase_file } => {
                protect(context, remove, passphrase_file).await
            }
            Command::Repair { yes } => repair(context, yes).await,
            Command::Restore { from, yes } => restore(context, from, yes).await,
            Command::Providers(Providers::Test { name, machine, json }) => {
                test(context, &name, machine.as_ref(), json).await
            }
        }
    }
}

async fn status(context: &Context, json: bool) -> anyhow::Result<ExitCode> {
    let (providers, home) = (context.config.options().providers, context.paths.home.clone());
    let status = on_vault(context, move |vault| {
        Ok(Status { vault: vault.status()?, providers: providers.status(&home) })
    });
    let status = status.await?;
    if json {
        output::json(&status)?;
    } else {
        output::print(report(&status).trim_end())?;
    }
    Ok(match status.vault.state {
        VaultState::Unreadable { .. } => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn report(Status { vault, providers }: &Status) -> String {
    let state = match &vault.state {
        VaultState::None => "none yet".into(),
        VaultState::Open { values } => counted(*values, "value"),
        VaultState::Locked { by: LockedBy::Passphrase } => "locked by a passphrase".into(),
        VaultState::Locked { by: LockedBy::Keyring } => "locked: the keyring is".into(),
        VaultState::Unreadable { damaged: true, .. } => "damaged".into(),
        VaultState::Unreadable { damaged: false, .. } => "cannot be read".into(),
    };
    let key = match vault.key {
        KeyPlace::File => vault.key_file.display().to_string(),
        KeyPlace::ProtectedFile => format!("{}, protected by a passphrase", vault.key_file.display()),
        KeyPlace::Keyring if vault.state == VaultState::None => "none yet".into(),
        KeyPlace::Keyring => "in the keyring".into(),
    };
    let format = vault.format.map(|format| format!(" (format {format})")).unwrap_or_default();
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "{name:10}{value}");
    };
    row("vault", format!("{}{format}", vault.file.display()));
    row("contents", state);
    row("key", key);
    for Backup { path, values, .. } in &vault.backups {
        let values = values.map_or("cannot be opened".into(), |count| counted(count, "value"));
        row("backup", format!("{} ({values})", path.display()));
    }
    for ProviderStatus { name, kind, ok, message } in providers {
        let mark = if *ok { "" } else { "! " };
        row("provider", format!("{name} ({kind}): {mark}{message}"));
    }
    if let VaultState::Unreadable { why, .. } = &vault.state {
        let _ = writeln!(text, "! {why}");
    }
    text
}

async fn protect(
    context: &Context,
    remove: bool,
    passphrase_file: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    context.unlock().await?;
    let place = on_vault(context, |vault| Ok(vault.status()?.key)).await?;
    if remove && place != KeyPlace::ProtectedFile {
        return Err(refusal("The vault's key has no passphrase", None).into());
    }
    let passphrase = match passphrase_file {
        _ if remove => None,
        Some(file) => Some(passphrase::of_file(&file)?),
        None => Some(passphrase::new("A passphrase for the vault's key").await?),
    };
    let kept = on_vault(context, move |vault| Ok(vault.protect(passphrase.as_ref())?)).await?;
    if let Some(why) = kept {
        output::error(&format!(
            "warning: the keyring may still have the key, which opens the vault without the passphrase ({why}). Remove \
             the item `codchi: key of the secret vault` there."
        ))?;
    }
    output::print(match (remove, place) {
        (true, _) => "The passphrase is gone: who can read the key file can open the vault.",
        (false, KeyPlace::Keyring) => {
            "The vault's key is protected by the passphrase. It is in a file from now on, and no longer in the keyring, \
             which would give it to every program of yours."
        }
        (false, _) => "The vault's key is protected by the passphrase.",
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn repair(context: &Context, yes: bool) -> anyhow::Result<ExitCode> {
    // Told before the question: whether there is anything to repair, and what it would bring.
    let status = on_vault(context, |vault| Ok(vault.status()?)).await?;
    if let VaultState::Unreadable { why, damaged: true } = &status.state
        && !yes
    {
        let newest = status.backups.iter().find_map(|backup| Some((&backup.path, backup.values?)));
        let then = match newest {
            Some((path, count)) => {
                format!("The backup {} is taken in its place: {}.", path.display(), counted(count, "value"))
            }
            None => {
                "No backup can be read: the new vault is empty, and all secrets have to be set again.".into()
            }
        };
        let detail = format!("{why}\nThe file is set aside, not deleted. {then}");
        confirm("Repair the vault?", detail, "codchi vault repair --yes").await?;
    }
    let Repaired { aside, restored } = on_vault(context, |vault| vault.repair()).await?;
    for path in aside {
        output::print(&format!("Set aside: {}", path.display()))?;
    }
    output::print(&match restored {
        Some(Backup { path, values, .. }) => {
            format!("The vault is the backup {}: {}.", path.display(), counted(values.unwrap_or(0), "value"))
        }
        None => "The vault is empty. Set the secrets again with `codchi secret set`.".into(),
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn restore(context: &Context, from: Option<PathBuf>, yes: bool) -> anyhow::Result<ExitCode> {
    context.unlock().await?;
    let from = from.map(std::path::absolute).transpose()?;
    if !yes {
        let backups = on_vault(context, |vault| Ok(vault.backups()?)).await?;
        let chosen =
            |backup: &&Backup| from.as_ref().map_or(backup.values.is_some(), |from| *from == backup.path);
        if let Some(Backup { path, values: Some(count), .. }) = backups.iter().find(chosen) {
            let detail = format!("{} has {}.", path.display(), counted(*count, "value"));
            confirm("Take it in the place of the vault?", detail, "codchi vault restore --yes").await?;
        }
    }
    let backup = on_vault(context, move |vault| vault.restore(from.as_deref())).await?;
    output::print(&format!(
        "The vault is the backup {}: {}. Doing it again takes that back.",
        backup.path.display(),
        counted(backup.values.unwrap_or(0), "value")
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn test(
    context: &Context,
    name: &str,
    machine: Option<&MachineName>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let cancel = cancelled_by_signals()?;
    let said = context.machines().test_providers(name, machine, &cancel).await?;
    if said.is_empty() {
        let hint = "Name one in config.toml; docs/secrets.md says how.";
        return Err(refusal("There are no secret providers", Some(hint.into())).into());
    }
    if json {
        let said =
            said.iter().map(|(provider, answer)| serde_json::json!({ "name": provider, "answer": answer }));
        output::json(&said.collect::<Vec<_>>())?;
    } else {
        for (provider, answer) in &said {
            output::print(&match answer {
                ProviderAnswer::Has => format!("{provider}: has a value"),
                ProviderAnswer::None => format!("{provider}: has none"),
                ProviderAnswer::Failed { why } => format!("{provider}: ! {why}"),
            })?;
        }
    }
    let failed = said.iter().any(|(_, answer)| matches!(answer, ProviderAnswer::Failed { .. }));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl Context {
    /// Opens a locked vault: asks the person at the terminal.
    pub(super) async fn unlock(&self) -> anyhow::Result<()> {
        // A signal ends the process: nothing is done yet that would have to be undone.
        let front = TerminalFront::new(false, false, CancellationToken::new());
        Ok(self.vault.unlock(&front).await?)
    }
}

/// Does something with the vault, which reads and writes files.
async fn on_vault<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&Vault) -> Result<T, MachineError> + Send + 'static,
) -> anyhow::Result<T> {
    let vault = context.vault.clone();
    Ok(tokio::task::spawn_blocking(move || work(&vault)).await??)
}

/// Goes on only where the person says yes.
async fn confirm(prompt: &str, detail: String, command: &str) -> anyhow::Result<()> {
    match prompt::confirm(prompt.into(), detail).await {
        Reply::Given(true) => Ok(()),
        Reply::Given(false) | Reply::Closed => Err(MachineError::Cancelled.into()),
        Reply::CannotAsk => {
            Err(refusal("There is no terminal to ask on", Some(format!("Run `{command}`."))).into())
        }
    }
}

fn refusal(message: &str, hint: Option<String>) -> MachineError {
    MachineError::User { message: message.into(), hint }
}

fn counted(count: usize, of: &str) -> String {
    format!("{count} {of}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_things_are_comes_first_and_what_is_wrong_last() {
        let backup = |name: &str, values| Backup { path: name.into(), written: 1, values };
        let vault = VaultStatus {
            file: "/d/vault.age".into(),
            state: VaultState::Unreadable { why: "It is damaged.".into(), damaged: true },
            format: None,
            key_file: "/d/vault.key".into(),
            key: KeyPlace::ProtectedFile,
            backups: vec![backup("/d/vault.age.bak", Some(1)), backup("/d/vault.age.v1.bak", None)],
        };
        let provider = |ok, message: &str| ProviderStatus {
            name: "pass".into(),
            kind: "command",
            ok,
            message: message.into(),
        };
        let providers = vec![provider(false, "There is no program `pass`.")];
        expect_test::expect![[r"
            vault     /d/vault.age
            contents  damaged
            key       /d/vault.key, protected by a passphrase
            backup    /d/vault.age.bak (1 value)
            backup    /d/vault.age.v1.bak (cannot be opened)
            provider  pass (command): ! There is no program `pass`.
            ! It is damaged.
        "]]
        .assert_eq(&report(&Status { vault, providers }));
    }
}
