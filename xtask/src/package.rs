//! What is given to people: the programs, and the extension's `.vsix` with them.

use crate::apt::{self, Program};
use crate::process::{self, cargo, path_with, quietly};
use crate::{Done, guest, lab, repository, say, windows};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds codchi and packs it.
#[derive(clap::Args)]
pub(crate) struct Package {
    /// For other computers than this one
    #[arg(long, value_name = "PLATFORM")]
    target: Option<Foreign>,
}

/// Computers that codchi can be built for on another one.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Foreign {
    /// Windows, with MinGW; on Windows itself `cargo build` takes Microsoft's tools.
    #[value(name = "win32-x64")]
    Windows,
}

/// What a package holds.
pub(crate) struct Programs {
    /// Whom it is for, as VS Code calls it: `linux-x64`
    /// (<https://code.visualstudio.com/api/working-with-extensions/publishing-extension#platformspecific-extensions>).
    pub(crate) platform: String,
    /// `codchi`.
    pub(crate) codchi: PathBuf,
    /// `codchi-guest`, which goes into each distribution of WSL; `None` where nothing is to run in any.
    pub(crate) guest: Option<PathBuf>,
}

impl Programs {
    /// Those of this computer, whose `codchi` is built already.
    pub(crate) fn here(codchi: PathBuf, guest: Option<PathBuf>) -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { platform: format!("linux-{architecture}"), codchi, guest }
    }

    /// Copies all into `folder`, where there is nothing else then.
    pub(crate) fn put(&self, folder: &Path) -> Done {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("emptying {}", folder.display()))?;
        }
        fs::create_dir_all(folder)?;
        for program in [Some(&self.codchi), self.guest.as_ref()].into_iter().flatten() {
            let to = folder.join(program.file_name().unwrap_or_default());
            fs::copy(program, &to).with_context(|| format!("copying {}", program.display()))?;
        }
        Ok(())
    }
}

impl Package {
    /// Builds all into `target/package`, in a folder for each platform, and says where it is.
    pub(crate) fn run(self) -> Done {
        let guest = Some(guest::build()?);
        let programs = match self.target {
            None => Programs::here(binary(true)?, guest),
            Some(Foreign::Windows) => {
                Programs { platform: "win32-x64".into(), codchi: windows::build(true)?, guest }
            }
        };
        let folder = repository().join("target/package").join(&programs.platform);
        programs.put(&folder)?;
        let vsix = vsix(&programs, &folder)?;
        say(format!("Programs:  {}", folder.display()));
        say(format!("Extension: {}", vsix.display()));
        Ok(())
    }
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

/// Packs the extension with `programs` inside into `folder`; gives the file.
pub(crate) fn vsix(programs: &Programs, folder: &Path) -> Result<PathBuf> {
    let extension = dependencies("vscode-extension")?;
    say(format!("Packing the extension for {}", programs.platform));
    programs.put(&extension.join("bin"))?;
    fs::create_dir_all(folder)?;
    let file = folder.join("codchi.vsix");
    let target = ["run", "package", "--", "--target", &programs.platform, "--out"];
    quietly(npm(&extension)?.args(target).arg(&file)).context("packing the extension")?;
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
