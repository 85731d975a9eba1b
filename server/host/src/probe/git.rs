//! git, which is asked for credentials.

use super::distribution::Packages;
use super::{Availability, Probe};

const GIT: Packages = Packages {
    what: "git",
    debian: "apt install git",
    ubuntu: "apt install git",
    fedora: "dnf install git",
    arch: "pacman -S git",
    nixos: "programs.git.enable = true;",
};

impl Probe<'_> {
    /// git, with the credential helper that it has.
    pub(super) fn git(mut self) -> Availability {
        match self.host.program("git") {
            Some(path) => {
                self.saw(path.display().to_string());
                self.yes("git is on this computer.")
            }
            None => {
                let remedy = self.host.install(GIT);
                self.no("There is no git on this computer.", remedy)
            }
        }
    }
}
