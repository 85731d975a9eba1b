//! Fills the volume: Nix copies itself there, so that nothing but Nix has to run.
//!
//! The instance is started once with the unpacked tarball as its `/nix/store`, and the volume beside it. What is in the volume
//! already stays; to do this twice is to do it once.

use super::Tell;
use super::place::{GC_ROOTS, Place, VOLUME};
use super::tarball::Archived;
use crate::files::io_error;
use crate::{CancellationToken, MachineError};
use codchi_driver::{Exec, FileKind, FileSpec, Volume};
use std::time::Duration;

impl Place<'_> {
    /// Fills `volume`; there is no instance, before and after.
    pub(super) async fn fill(
        &self,
        volume: &Volume,
        tell: Tell<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let filled = if self.driver().kind().mounts_linux_files() {
            let unpacked = self.machines.unpacked(tell, cancel).await?;
            tell("Filling the store");
            self.driver().create(&self.name, &self.filling(volume, Some(&unpacked.store))).await?;
            self.fill_from(&unpacked.nix, &unpacked.registration).await
        } else {
            let Archived { file, nix, registration } = self.machines.archived(tell, cancel).await?;
            tell("Filling the store");
            let size = std::fs::metadata(file.path())
                .map_err(|error| io_error("Reading", file.path(), error))?
                .len();
            let archive = tokio::fs::File::open(file.path()).await;
            let archive = Box::new(archive.map_err(|error| io_error("Reading", file.path(), error))?);
            self.driver().import(&self.name, &self.filling(volume, None), archive, size).await?;
            self.fill_from(&nix, &registration).await
        };
        let deleted = self.driver().delete(&self.name).await;
        filled?;
        Ok(deleted?)
    }

    /// From Nix at `nix` in the instance, which its database does not know yet.
    async fn fill_from(&self, nix_path: &str, registration: &[u8]) -> Result<(), MachineError> {
        let bin = format!("{nix_path}/bin");
        self.write_system(&bin, None).await?;
        self.boot().await?;
        let nix = |program: &str, arguments: &[&str]| {
            let mut exec: Exec = self.administer(program, arguments.iter().copied());
            exec.command[0] = format!("{bin}/{program}");
            // The store of this one start is not to be given to anybody.
            exec.environment.insert("NIX_CONFIG".into(), "build-users-group =".into());
            exec
        };
        self.run(&nix("nix-store", &["--load-db"]), registration, "Registering Nix").await?;
        let to = format!("local?root={VOLUME}");
        let copy =
            ["--extra-experimental-features", "nix-command", "copy", "--all", "--no-check-sigs", "--to", &to];
        self.run(&nix("nix", &copy), &[], "Filling the store").await?;

        let folder = |path: &str| self.entry(&format!("{VOLUME}{path}"), FileKind::Folder);
        // The mount needs a place, and what is watched must be there.
        for path in [GC_ROOTS, "/nix/var/nix/gcroots/auto"] {
            self.driver().put_file(&self.name, &folder(path)).await?;
        }
        // Last: it says that the volume is whole. It also keeps Nix from being collected.
        let link = FileKind::Symlink(nix_path.into());
        let profile = self.entry(&format!("{VOLUME}/nix/var/nix/profiles/default"), link);
        self.driver().put_file(&self.name, &profile).await?;
        self.driver().stop(&self.name, Duration::ZERO).await?;
        Ok(())
    }

    fn entry(&self, path: &str, kind: FileKind) -> FileSpec {
        FileSpec { path: path.into(), uid: 0, gid: 0, mode: 0o755, kind }
    }
}
