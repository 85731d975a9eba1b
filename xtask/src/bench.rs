//! `cargo xtask bench`: the numbers that the README gives, measured on this machine.

use crate::lab::{Kind, Lab};
use crate::process::{cargo, run};
use crate::{Done, lab, package, say};
use std::collections::BTreeMap;

/// Measures.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// Only what needs no engine.
    #[arg(long)]
    fast: bool,
}

impl Bench {
    pub(crate) fn run(self) -> Done {
        let binary = package::binary(true)?;
        let mut environment = BTreeMap::from([("CODCHI_BIN", binary.display().to_string())]);
        say("Keystroke to diagnostics, server start, a workspace of 1,000 files, memory, check");
        run(cargo(["bench", "--quiet", "--package", "codchi-ide"]).envs(&environment))?;
        run(cargo(["bench", "--quiet", "--package", "codchi-tests", "--bench", "server"]).envs(&environment))?;
        if !self.fast {
            lab::announce();
            let lab = Lab::new(Kind::Lxd);
            environment.extend(lab.up()?);
            say("Machines: create and exec beside the engine's own command");
            run(cargo([
                "bench",
                "--quiet",
                "--package",
                "codchi-tests",
                "--features",
                "lab",
                "--bench",
                "machines",
            ])
            .envs(&environment))?;
            lab.down()?;
        }
        Ok(())
    }
}
