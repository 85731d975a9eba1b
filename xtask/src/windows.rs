//! `cargo xtask windows`: the program of Windows, tested in Wine.

use crate::process::{cargo, output, quietly, run, which};
use crate::{Done, apt, repository, say};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is built: the toolchain of MinGW needs nothing of Microsoft's.
const TARGET: &str = "x86_64-pc-windows-gnu";
const COMPILER: &str = "x86_64-w64-mingw32-gcc";

/// Builds codchi for Windows and runs it in Wine.
pub(crate) fn test() -> Done {
    apt::programs(&[apt::Program(COMPILER, "gcc-mingw-w64-x86-64")])?;
    if !["wine64", "wine"].iter().any(|name| which(name).is_some()) {
        apt::packages(&["wine64"])?;
    }
    standard_library()?;
    let program = build()?;
    say("Testing codchi.exe in Wine");
    let mut test = cargo(["test", "--quiet", "--package", "codchi-tests", "--features", "windows"]);
    run(test.args(["--test", "windows"]).env("CODCHI_WINDOWS_EXE", program)).context("testing codchi.exe")
}

/// Makes sure that the compiler in use has the standard library of Windows.
fn standard_library() -> Done {
    let folder = output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    if which("rustup").is_none() {
        bail!("this Rust has no standard library for {TARGET}, and there is no rustup to fetch it with");
    }
    say(format!("Fetching Rust's standard library for {TARGET} (rustup)"));
    quietly(Command::new("rustup").args(["target", "add", TARGET]).current_dir(repository()))
        .with_context(|| format!("fetching the standard library for {TARGET}"))
}

/// Builds `codchi.exe` and what it needs in Wine, beside each other; gives its path.
fn build() -> Result<PathBuf> {
    say("Building codchi.exe (debug)");
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    let mut build = cargo(["build", "--quiet", "--package", "codchi", "--target", TARGET]);
    // Without what only a debugger reads it is half as large, and sooner linked.
    run(build.arg("--target-dir").arg(&folder).args(["--config", "profile.dev.debug=false"]))
        .context("building codchi.exe")?;
    let folder = folder.join(TARGET).join("debug");
    let source = repository().join("xtask/src/windows/random.c");
    let library = folder.join("bcryptprimitives.dll");
    quietly(Command::new(COMPILER).arg("-shared").arg("-o").args([&library, &source]).arg("-ladvapi32"))
        .context("building what Wine lacks")?;
    Ok(folder.join("codchi.exe"))
}
