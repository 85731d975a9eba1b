//! The program in each WSL distribution.

use crate::process::{cargo, run};
use crate::{repository, say};
use anyhow::{Context as _, Result};
use std::path::PathBuf;

/// What WSL on this kind of computer runs.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Nothing of a system is there when it begins, no library either.
const STATIC: &str = "-Ctarget-feature=+crt-static";

/// Builds `codchi-guest` as one static program; gives its path. In a folder of its own, since other flags would build everything
/// else anew.
pub(crate) fn build() -> Result<PathBuf> {
    say("Building codchi-guest (release, static)");
    let folder = repository().join("target/guest");
    let flags = format!("target.{TARGET}.rustflags=[\"{STATIC}\"]");
    let arguments = ["build", "--quiet", "--package", "codchi-guest", "--release", "--target", TARGET];
    let mut build = cargo(arguments);
    build.args(["--config", &flags]).arg("--target-dir").arg(&folder);
    // Flags from the environment would be taken instead.
    build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(&mut build).context("building codchi-guest")?;
    Ok(folder.join(TARGET).join("release/codchi-guest"))
}
