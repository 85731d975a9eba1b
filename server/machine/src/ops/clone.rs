//! The repository that a machine was made for, cloned into it: by the host's git, with the host's credentials, so that none
//! of them has to be in the machine.

use crate::files::io_error;
use crate::run::{Outcome, Run};
use crate::{MachineError, Repository};
use codchi_driver::{DriverError, Exec};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio_util::io::SyncIoBridge;

/// Between the archive and the machine.
const BUFFER: usize = 1 << 20;

impl Run<'_> {
    /// [`Step::Clone`](crate::Step::Clone).
    pub(crate) async fn clone_repository(&mut self) -> Result<Outcome, MachineError> {
        let Some(repository) = self.definition.checkout.clone() else { return Ok(Outcome::Skipped) };
        self.report.works();
        let temporary =
            tempfile::tempdir().map_err(|e| io_error("Making a folder in", &std::env::temp_dir(), e))?;
        let clone = temporary.path().join(repository.folder());
        git_clone(&repository, &clone).await?;
        self.send(&clone, repository.folder()).await?;
        Ok(Outcome::Done)
    }

    /// Lays the folder `source` into the user's home folder.
    async fn send(&self, source: &Path, name: &str) -> Result<(), MachineError> {
        let target = self.target()?;
        let tar = target.path("sw/bin/tar");
        let mut command = vec![target.path("sw/bin/codchi-session"), tar];
        command.extend(["-x", "-f", "-"].map(Into::into));
        let exec = Exec {
            uid: target.uid,
            gid: target.gid,
            cwd: Some(crate::state::HOME.into()),
            ..Exec::root(command)
        };
        let mut process = self.driver().exec(&self.instance, &exec).await?;
        let (mut read, write) = tokio::io::duplex(BUFFER);
        let runtime = tokio::runtime::Handle::current();
        let (source, name) = (source.to_owned(), name.to_owned());
        let path = source.clone();
        let packed = tokio::task::spawn_blocking(move || {
            let mut archive = tar::Builder::new(SyncIoBridge::new_with_handle(write, runtime));
            archive.follow_symlinks(false);
            archive.append_dir_all(name, source)?;
            archive.into_inner()?.shutdown()
        });
        let mut input = process.stdin;
        let fed = async {
            // A program that ends early says why.
            let _ = tokio::io::copy(&mut read, &mut input).await;
            drop(read);
            let _ = input.shutdown().await;
        };
        let mut errors = Vec::new();
        let told = process.stderr.read_to_end(&mut errors);
        let ((), packed, told, status) = tokio::join!(fed, packed, told, process.exit);
        told.map_err(|e| io_error("Reading what is said in", &path, e))?;
        let status = status?;
        if !status.success() {
            let message = String::from_utf8_lossy(&errors).trim().to_owned();
            let action = "Laying the repository into it".into();
            return Err(MachineError::Inside { name: self.name.to_string(), action, message });
        }
        packed
            .map_err(|e| DriverError::Engine { action: "packing".into(), message: e.to_string() })?
            .map_err(|e| io_error("Reading", &path, e))
    }
}

/// Clones with the host's git.
async fn git_clone(repository: &Repository, to: &Path) -> Result<(), MachineError> {
    let mut git = Command::new("git");
    git.args(["clone", "--quiet"]);
    if let Some(branch) = &repository.branch {
        git.arg("--branch").arg(branch);
    }
    git.arg("--").arg(&repository.url).arg(to);
    // Nobody answers a question on a terminal here: git and ssh shall fail, or ask in a window of their own.
    git.env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS_REQUIRE", "force").stdin(Stdio::null());
    let output = git.kill_on_drop(true).output().await.map_err(|e| MachineError::User {
        message: format!("Running `git` failed: {e}"),
        hint: Some("Install git, which clones the repository.".into()),
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(MachineError::User {
        message: format!(
            "{} cannot be cloned: {}",
            repository.url,
            String::from_utf8_lossy(&output.stderr).trim()
        ),
        hint: Some("Try `git clone` with this URL; what it needs there, it needs here.".into()),
    })
}
