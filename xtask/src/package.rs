//! The release binary and the extension's `.vsix`.

use crate::apt::{self, Program};
use crate::process::{self, cargo, path_with, quietly};
use crate::{Done, lab, repository, say};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds both into `target/package` and says where they are.
pub(crate) fn run() -> Done {
    let binary = binary(true)?;
    let folder = repository().join("target/package");
    fs::create_dir_all(&folder)?;
    let vsix = vsix(&binary, &folder)?;
    let copy = folder.join("codchi");
    fs::copy(&binary, &copy)?;
    say(format!("Binary:    {}", copy.display()));
    say(format!("Extension: {}", vsix.display()));
    Ok(())
}

/// Builds `codchi`; gives its path.
pub(crate) fn binary(release: bool) -> Result<PathBuf> {
    let profile = if release { "release" } else { "debug" };
    say(format!("Building codchi ({profile})"));
    let mut arguments = vec!["build", "--quiet", "--package", "codchi"];
    if release {
        arguments.push("--release");
    }
    process::run(&mut cargo(&arguments)).context("building codchi")?;
    Ok(target_folder().join(profile).join("codchi"))
}

/// Where cargo builds: `$CARGO_TARGET_DIR`, else `target`.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// Packs the extension with `binary` inside into `folder`; gives the file.
pub(crate) fn vsix(binary: &Path, folder: &Path) -> Result<PathBuf> {
    let extension = dependencies("vscode-extension")?;
    say("Packing the extension");
    let bin = extension.join("bin");
    fs::create_dir_all(&bin)?;
    fs::copy(binary, bin.join("codchi")).context("putting the binary into the extension")?;
    fs::create_dir_all(folder)?;
    let file = folder.join("codchi.vsix");
    quietly(npm(&extension)?.args(["run", "package", "--", "--out"]).arg(&file))
        .context("packing the extension")?;
    Ok(file)
}

/// Installs what the `package-lock.json` in `folder` names, unless it is there already; gives the folder's path.
pub(crate) fn dependencies(folder: &str) -> Result<PathBuf> {
    let folder = repository().join(folder);
    let (lock, installed) =
        (folder.join("package-lock.json"), folder.join("node_modules/.package-lock.json"));
    let stamp = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    if stamp(&installed).is_none_or(|installed| stamp(&lock).is_some_and(|lock| lock > installed)) {
        say(format!("Installing the dependencies of {} (npm)", folder.display()));
        quietly(npm(&folder)?.args(["ci", "--no-audit", "--no-fund"])).context("npm ci")?;
    }
    Ok(folder)
}

/// `npm` in `folder`, run by the lab's Node.js: that of older distributions is too old for the tools.
pub(crate) fn npm(folder: &Path) -> Result<Command> {
    apt::programs(&[Program("npm", "npm")])?;
    let node = lab::code_server::node(&lab::cache())?;
    let mut npm = Command::new("npm");
    npm.current_dir(folder);
    if let Some(bin) = node.parent() {
        npm.env("PATH", path_with(bin));
    }
    Ok(npm)
}
