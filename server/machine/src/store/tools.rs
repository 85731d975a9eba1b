//! Git in the store instance: Nix runs it to fetch repositories, and does not bring it along.

use super::{StoreKind, Tell};
use crate::files::{make_folder, write_atomic};
use crate::nixpkgs::Pin;
use crate::state::{Definition, NixpkgsFrom};
use crate::{CancellationToken, MachineError, Machines, Paths, SourceKind};
use codchi_nix::{Nix, NixError, path_url};
use std::path::PathBuf;

/// Where their programs are, in the store instance as well as here; the link above keeps them from being collected.
pub(super) fn programs(paths: &Paths) -> PathBuf {
    link(paths).join("bin")
}

fn folder(paths: &Paths) -> PathBuf {
    paths.data.join("store").join("tools")
}

fn link(paths: &Paths) -> PathBuf {
    folder(paths).join("result")
}

/// Whether git is needed to fetch what a machine is made of.
pub(crate) fn needs_git(definition: &Definition) -> bool {
    let is_git = |url: &str| url.starts_with("git+") || url.starts_with("hg+");
    let nixpkgs = matches!(&definition.nixpkgs, NixpkgsFrom::Url(url) if is_git(url));
    definition.store == StoreKind::Instance
        && (nixpkgs
            || definition
                .modules
                .iter()
                .any(|module| matches!(&module.source.kind, SourceKind::Git(url) if is_git(url))))
}

impl Machines {
    /// Makes sure that git is there for the store instance's `nix`: that of the nixpkgs that machines share.
    ///
    /// # Errors
    /// Where it cannot be fetched.
    pub(crate) async fn store_git(
        &self,
        nix: &Nix,
        tell: Tell<'_>,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let (folder, link) = (folder(self.paths()), link(self.paths()));
        // It leads to where nothing of this computer is.
        if link.is_symlink() {
            return Ok(());
        }
        tell("Fetching git for the store instance");
        let pin = Pin::new(self.paths());
        let _held = pin.hold(self.pinned_url(), false, nix, cancel).await?;
        make_folder(&folder)?;
        write_atomic(&folder.join("flake.nix"), flake(&path_url(pin.folder())).as_bytes(), 0o600)?;
        let built = async {
            nix.lock(&folder, &[], cancel).await?;
            let installable = format!("{}#tools", path_url(&folder));
            nix.build_at(&installable, &link, &mut |line| tell(line), cancel).await
        };
        built.await.map_err(|error| match error {
            NixError::Cancelled => MachineError::Cancelled,
            error => MachineError::User {
                message: format!("Nix needs git to fetch these modules, and that is not to be had: {error}"),
                hint: Some(
                    "Modules at `github:OWNER/REPOSITORY` and those of local folders need no git; or check the network \
                     connection, then try again."
                        .into(),
                ),
            },
        })
    }
}

fn flake(pin: &str) -> String {
    format!(
        "# Written by codchi: what Nix runs in the store instance to fetch git repositories.\n\
         {{\n  \
           inputs.pin.url = \"{pin}\";\n  \
           inputs.nixpkgs.follows = \"pin/nixpkgs\";\n  \
           outputs = {{ nixpkgs, ... }}: {{\n    \
             tools = let pkgs = nixpkgs.legacyPackages.\"{}-linux\"; in pkgs.buildEnv {{\n      \
               name = \"codchi-store-tools\";\n      \
               paths = [ (pkgs.gitMinimal or pkgs.git) pkgs.openssh ];\n    \
             }};\n  \
           }};\n\
         }}\n",
        std::env::consts::ARCH
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModuleSource;
    use codchi_driver::DriverKind;

    #[test]
    fn git_is_needed_for_repositories_only_and_only_in_the_store_instance() {
        let needs = |store, source: &str| {
            let new = Definition::new("1".into(), DriverKind::Lxd);
            let mut definition = Definition { store, ..new };
            let source = ModuleSource::parse(source, std::path::Path::new("/")).unwrap();
            definition.add(source, false);
            needs_git(&definition)
        };
        assert!(needs(StoreKind::Instance, "git+https://host/path"));
        assert!(!needs(StoreKind::Host, "git+https://host/path"));
        assert!(!needs(StoreKind::Instance, "github:owner/repository"));
    }
}
