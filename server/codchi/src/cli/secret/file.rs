//! `codchi secret import` and `export`.

use super::{Whose, dotenv, with_delivered};
use crate::cli::front::TerminalFront;
use crate::cli::{operation, output};
use codchi_machine::{Existing, MachineError, Machines, Scope};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zeroize::Zeroizing;

#[derive(clap::Args)]
pub(super) struct Import {
    /// The file; `-` for standard input. Names may begin with `CODCHI_`, which is left out
    file: PathBuf,
    #[command(flatten)]
    whose: Whose,
    /// Replace values that are set, too
    #[arg(long)]
    force: bool,
}

#[derive(clap::Args)]
pub(super) struct Export {
    #[command(flatten)]
    whose: Whose,
    /// Write to this file, which nobody else may read; standard output where it is not given
    #[arg(long)]
    file: Option<PathBuf>,
    /// Replace the file if there is one
    #[arg(long, requires = "file")]
    force: bool,
    /// Print the values on a terminal, too
    #[arg(long, conflicts_with = "file")]
    show: bool,
}

impl Import {
    pub(super) async fn run(self, machines: &Machines) -> anyhow::Result<ExitCode> {
        let Self { file, whose, force } = self;
        let is_input = file.as_os_str() == "-";
        let path = if is_input { "standard input".to_owned() } else { file.display().to_string() };
        let mut text = Zeroizing::new(Vec::new());
        let read = if is_input {
            io::stdin().lock().read_to_end(&mut text).map(drop)
        } else {
            std::fs::read(&file).map(|read| text = Zeroizing::new(read))
        };
        read.map_err(|source| MachineError::Io { action: "Reading", path: path.clone(), source })?;
        let values = dotenv::read(&text).map_err(|why| MachineError::User {
            message: format!("{path}, {why}"),
            hint: Some(
                "Nothing was stored. Each line is `NAME=value`; quote values with `'` or `\"`.".into(),
            ),
        })?;
        let existing = if force { Existing::Replace } else { Existing::Keep };
        let cancel = operation::cancelled_by_signals()?;
        let front = TerminalFront::new(false, false, cancel.clone());
        let change = machines.set_secrets(&whose.scope(), values, existing, &front, &cancel).await?;
        drop(front);
        let told = match (change.changed.as_slice(), change.kept.is_empty()) {
            ([], true) => format!("There is no secret in {path}."),
            ([], false) => "Nothing was set.".into(),
            (set, _) => format!("Set: {}.", set.join(", ")),
        };
        output::print(&with_delivered(told, &change))?;
        if !change.kept.is_empty() {
            output::print(&format!(
                "Kept, since they are set already (`--force` replaces them): {}.",
                change.kept.join(", ")
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Export {
    pub(super) async fn run(self, machines: &Machines) -> anyhow::Result<ExitCode> {
        let Self { whose, file, force, show } = self;
        if file.is_none() && !show && io::stdout().is_terminal() {
            return Err(MachineError::User {
                message: "The values would be shown on this terminal".into(),
                hint: Some("Name a file with `--file`, pipe them on, or say `--show`.".into()),
            }
            .into());
        }
        let scope = whose.scope();
        let values = machines.secret_values(&scope).await?;
        if values.is_empty() {
            let whose = match &scope {
                Scope::All => "all machines".into(),
                Scope::Machine(machine) => machine.to_string(),
            };
            return Err(MachineError::User {
                message: format!("No secret is set for {whose}"),
                hint: Some("`codchi secret ls` lists what is set, and for whom.".into()),
            }
            .into());
        }
        let text = dotenv::write(&values).map_err(|binary| MachineError::User {
            message: format!(
                "These values are not text, and such a file holds nothing else: {}",
                binary.join(", ")
            ),
            hint: Some("`codchi export --secrets` takes every value along with its machine.".into()),
        })?;
        let Some(file) = file else {
            output::told(io::stdout().lock().write_all(&text))?;
            return Ok(ExitCode::SUCCESS);
        };
        write(&file, &text, force)?;
        output::print(&format!("{} secrets are in {}, in clear.", values.len(), file.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes a file that only its owner may read, as a whole or not at all.
fn write(file: &Path, text: &[u8], replace: bool) -> Result<(), MachineError> {
    let failed = |source| MachineError::Io { action: "Writing", path: file.display().to_string(), source };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Nobody but its owner may read it from the beginning.
    let mut new = tempfile::Builder::new().prefix(".codchi-").tempfile_in(folder).map_err(failed)?;
    new.write_all(text).and_then(|()| new.as_file().sync_all()).map_err(failed)?;
    if replace {
        return new.persist(file).map(drop).map_err(|e| failed(e.error));
    }
    new.persist_noclobber(file).map(drop).map_err(|e| match e.error.kind() {
        io::ErrorKind::AlreadyExists => MachineError::User {
            message: format!("There is a file {} already", file.display()),
            hint: Some("Choose another name, or replace it with `--force`.".into()),
        },
        _ => failed(e.error),
    })
}
