//! Installs codchi for the person at this machine.

use crate::package::Programs;
use crate::process::{quietly, which};
use crate::{Done, guest, package, repository, say};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds everything and installs it for this user.
#[derive(clap::Args)]
pub(crate) struct Install {
    /// The editor's command; the first of code, codium, code-server, code-insiders and cursor on PATH otherwise.
    #[arg(long)]
    editor: Option<String>,
    /// The folder for the `codchi` command.
    #[arg(long, default_value_os_t = default_folder())]
    bin: PathBuf,
}

const EDITORS: [&str; 5] = ["code", "codium", "code-server", "code-insiders", "cursor"];

impl Install {
    pub(crate) fn run(self) -> Done {
        // Before what takes minutes.
        let editor = self.editor()?;
        let binary = package::binary(true)?;
        // In a distribution of WSL it makes machines that are beside that one.
        let guest = guest::build()?;
        let programs = Programs::here(binary.clone(), Some(guest.clone()));
        let vsix = package::vsix(&programs, &repository().join("target/package"))?;
        fs::create_dir_all(&self.bin)?;
        for program in [&guest, &binary] {
            let command = self.bin.join(program.file_name().unwrap_or_default());
            // A running one keeps its file: it cannot be written over, but it can be replaced.
            let new = self.bin.join(".codchi.new");
            fs::copy(program, &new)
                .and_then(|_| fs::rename(&new, &command))
                .with_context(|| format!("installing {}", command.display()))?;
            say(format!("Installed {}", command.display()));
        }
        if which("codchi").is_none() {
            say(format!(
                "{} is not on PATH; the extension brings its own copy, a terminal needs it",
                self.bin.display()
            ));
        }
        match editor {
            Some(editor) => {
                quietly(Command::new(&editor).arg("--install-extension").arg(&vsix).arg("--force"))
                    .with_context(|| format!("installing the extension with {editor}"))?;
                say(format!("Installed the extension into {editor}; reload its window"));
            }
            None => say(format!(
                "No editor was found: none of {} is on PATH. Name one with --editor, run `Shell Command: Install 'code' \
                 command in PATH` in VS Code, or install the extension there from {}",
                EDITORS.join(", "),
                vsix.display()
            )),
        }
        say("`codchi doctor` says what works on this machine");
        Ok(())
    }

    /// The editor's command; `None` where there is none.
    fn editor(&self) -> Result<Option<String>> {
        match &self.editor {
            Some(named) if which(named).is_none() && !Path::new(named).is_file() => {
                bail!("the editor {named} is not there")
            }
            Some(named) => Ok(Some(named.clone())),
            None => Ok(EDITORS.into_iter().find(|editor| which(editor).is_some()).map(str::to_owned)),
        }
    }
}

fn default_folder() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from).join(".local/bin")
}
