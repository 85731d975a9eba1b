//! The program of Windows: built here, packed, and tested in Wine.

use crate::lab::{self, Kind, Lab};
use crate::package::{self, Programs};
use crate::process::{cargo, output, quietly, run, which};
use crate::{Done, apt, guest, repository, say};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is built: the toolchain of MinGW needs nothing of Microsoft's.
const TARGET: &str = "x86_64-pc-windows-gnu";
const COMPILER: &str = "x86_64-w64-mingw32-gcc";
/// By what programs of Windows reach those of Linux (tests/wine).
const RELAY: &str = "relay.exe";

/// Builds codchi for Windows, packs it and tests the program of the package in Wine.
pub(crate) fn test() -> Done {
    apt::programs(&[apt::Program("unzip", "unzip")])?;
    if !["wine64", "wine"].iter().any(|name| which(name).is_some()) {
        apt::packages(&["wine64"])?;
    }
    let program = unpacked(&build(false)?)?;
    let relay = program.with_file_name(RELAY);
    let lab = Lab::new(Kind::Wsl);
    let environment = lab.up()?;
    say("Testing codchi.exe in Wine");
    let features = format!("{},codchi-tests/windows", lab::FEATURES);
    let mut test = cargo(["test", "--quiet", "--workspace", "--features", &features, "--test", "windows"]);
    test.envs(environment).env("CODCHI_WINDOWS_EXE", program).env("CODCHI_WINDOWS_RELAY", relay);
    let tested = run(&mut test).context("testing codchi.exe");
    let down = lab.down();
    tested.and(down)
}

/// What compiles for Windows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Toolchain {
    /// That in use, with the standard library of Windows.
    Own,
    /// Debian's, which compiles that library, too.
    Debian,
}

impl Toolchain {
    /// Makes sure that one is there.
    fn prepared() -> Result<Self> {
        apt::programs(&[apt::Program(COMPILER, "gcc-mingw-w64-x86-64")])?;
        let folder = output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))?;
        if Path::new(folder.trim()).is_dir() {
            return Ok(Self::Own);
        }
        if which("rustup").is_some() {
            say(format!("Fetching Rust's standard library for {TARGET} (rustup)"));
            match quietly(Command::new("rustup").args(["target", "add", TARGET]).current_dir(repository())) {
                Ok(()) => return Ok(Self::Own),
                Err(error) => say(format!("It cannot be fetched, so Debian's Rust compiles it: {error:#}")),
            }
        }
        apt::packages(&["rustc-web", "cargo-web", "rust-web-src"])?;
        Ok(Self::Debian)
    }

    /// Where it builds: another compiler's libraries are of no use.
    fn folder(self) -> PathBuf {
        package::target_folder().join(if self == Self::Debian { "debian" } else { "" })
    }

    /// cargo, with these arguments first.
    fn cargo(self, arguments: &[&str]) -> Command {
        if self == Self::Own {
            return cargo(arguments);
        }
        let mut command = Command::new("/usr/bin/cargo");
        command.current_dir(repository()).args(arguments).arg("-Zbuild-std=std,panic_unwind");
        // Those of rustup would be asked for another version.
        command.env("RUSTC", "/usr/bin/rustc").env("RUSTDOC", "/usr/bin/rustdoc").env("RUSTC_BOOTSTRAP", "1");
        command
    }
}

/// Installs what compiling needs.
pub(crate) fn prepare() -> Done {
    Toolchain::prepared().map(drop)
}

/// Compiles codchi for Windows as far as that finds mistakes; nothing is linked.
pub(crate) fn check() -> Done {
    let toolchain = Toolchain::prepared()?;
    // Debian's has no clippy.
    let lints = if toolchain == Toolchain::Own { "clippy" } else { "check" };
    let mut check = toolchain.cargo(&[lints, "--quiet", "--package", "codchi", "--target", TARGET]);
    quietly(check.arg("--target-dir").arg(toolchain.folder()).env("RUSTFLAGS", "-Dwarnings"))
        .context("compiling codchi for Windows")
}

/// Builds `codchi.exe`; gives its path.
pub(crate) fn build(release: bool) -> Result<PathBuf> {
    say(format!("Building codchi.exe ({})", if release { "release" } else { "debug" }));
    program("codchi", release)
}

/// Builds the program of a package; gives its path.
fn program(package: &str, release: bool) -> Result<PathBuf> {
    let profile = if release { "release" } else { "debug" };
    let toolchain = Toolchain::prepared()?;
    let folder = toolchain.folder();
    let mut build = toolchain.cargo(&["build", "--quiet", "--package", package, "--target", TARGET]);
    // Without what only a debugger reads it is half as large, and sooner linked.
    build.arg("--target-dir").arg(&folder).args(["--config", "profile.dev.debug=false"]);
    if release {
        build.arg("--release");
    }
    run(&mut build).with_context(|| format!("building {package}.exe"))?;
    Ok(folder.join(TARGET).join(profile).join(format!("{package}.exe")))
}

/// Packs this `codchi.exe`, unpacks it as VS Code does and puts what Wine lacks and [`RELAY`] beside it; gives its path then.
fn unpacked(codchi: &Path) -> Result<PathBuf> {
    let folder = repository().join("target/package/win32-x64-debug");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let platform = "win32-x64".to_owned();
    let programs = Programs { platform, codchi: codchi.to_owned(), guest: Some(guest::build()?) };
    let vsix = package::vsix(&programs, &folder)?;
    quietly(Command::new("unzip").arg("-q").arg(&vsix).arg("-d").arg(&folder))
        .context("unpacking the extension")?;
    let manifest = std::fs::read_to_string(folder.join("extension.vsixmanifest"))?;
    if !manifest.contains("TargetPlatform=\"win32-x64\"") {
        bail!("{} does not say that it is for Windows", vsix.display());
    }
    let bin = folder.join("extension/bin");
    if !bin.join("codchi-guest").is_file() {
        bail!("{} has no codchi-guest", vsix.display());
    }
    let library = bin.join("bcryptprimitives.dll");
    let source = repository().join("xtask/src/windows/random.c");
    quietly(Command::new(COMPILER).arg("-shared").arg("-o").args([&library, &source]).arg("-ladvapi32"))
        .context("building what Wine lacks")?;
    std::fs::copy(program("codchi-test-wine", false)?, bin.join(RELAY))?;
    Ok(bin.join("codchi.exe"))
}
