//! The lab: a real LXD or Incus, Nix, nixpkgs stand-in and VS Code for tests and the demo, on a machine that has none of them.
//!
//! What is downloaded or unpacked is kept in a cache outside the repository; what runs has a folder of its own per
//! run, and is stopped and removed with it.

pub(crate) mod code_server;
mod current_nix;
mod daemon;
mod debian;
mod engine;
pub(crate) mod incus;
mod nixpkgs;
mod store_nix;
mod wsl;

use engine::Engine;

use crate::apt::{self, Program};
use crate::process::which;
use crate::{Done, repository, say};
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The features of all tests that need a lab. With other ones libraries are compiled again.
pub(crate) const FEATURES: &str = "codchi-tests/lab,codchi-guest/lab,codchi-test-wsl/lab";

/// What runs machines in a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// LXD, as this distribution has it.
    Lxd,
    /// Incus, as Debian's backports have it.
    Incus,
    /// The `wsl.exe` of tests/wsl.
    Wsl,
}

impl Kind {
    /// The engine with a daemon; `None` for WSL.
    fn engine(self) -> Option<Engine> {
        match self {
            Self::Lxd => Some(Engine::Lxd),
            Self::Incus => Some(Engine::Incus),
            Self::Wsl => None,
        }
    }
}

/// What `cargo xtask lab` does.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Starts an engine, prepares Nix and nixpkgs, and prints the environment that tests need, for `eval`.
    Up {
        /// The engine. Each may run beside the other.
        #[arg(long, value_enum, default_value_t = Kind::Lxd)]
        engine: Kind,
        /// Installs a VS Code for the browser too.
        #[arg(long)]
        vscode: bool,
    },
    /// Stops what `up` started and removes its state.
    Down,
}

impl Command {
    pub(crate) fn run(self) -> Done {
        match self {
            Self::Up { engine, vscode } => {
                let lab = Lab { folder: standing_folder(), kind: engine, keep: true };
                let mut environment = lab.up()?;
                if vscode {
                    environment.extend(code_server::install(&cache())?.environment());
                }
                for (name, value) in environment {
                    println!("export {name}={}", quoted(&value));
                }
            }
            Self::Down => {
                wsl::down(&standing_folder())?;
                for engine in Engine::ALL {
                    daemon::down(&standing_folder(), engine)?;
                }
            }
        }
        Ok(())
    }
}

/// The engine of one run; dropping it stops it and removes its state.
pub(crate) struct Lab {
    folder: PathBuf,
    kind: Kind,
    keep: bool,
}

impl Lab {
    /// A lab of its own for one run; nothing is started yet.
    pub(crate) fn new(kind: Kind) -> Self {
        let folder = std::env::temp_dir().join(format!("codchi-lab-{}", std::process::id()));
        Self { folder, kind, keep: false }
    }

    /// Starts the engine and prepares Nix and nixpkgs; gives the environment in which codchi and its tests find them.
    pub(crate) fn up(&self) -> Result<BTreeMap<&'static str, String>> {
        need_root()?;
        let nixpkgs = prepare_nix()?;
        let mut environment = BTreeMap::from([("NIX_CONFIG", nix_config(true))]);
        match self.kind.engine() {
            None => environment.extend(wsl::up(&self.folder)?),
            Some(engine) => {
                let running = daemon::up(&self.folder, engine, &cache())
                    .with_context(|| format!("starting {}", engine.words().name))?;
                environment.extend(running.env().into_iter().map(|(name, value)| (name, shown(&value))));
            }
        }
        environment.insert("CODCHI_TEST_FLAKE_NIXPKGS", shown(&nixpkgs));
        let store_nix = store_nix::prepare(&cache(), &nixpkgs::debian(&cache())?)?;
        environment.insert("CODCHI_TEST_STORE_NIX", shown(&store_nix));
        environment.insert("CODCHI_TEST_CURRENT_NIX", shown(&current_nix::prepare(&cache())?));
        Ok(environment)
    }

    /// Stops everything.
    ///
    /// # Errors
    /// Names what could not be stopped or was left behind.
    pub(crate) fn down(mut self) -> Result<()> {
        self.keep = true;
        self.stop()
    }

    fn stop(&self) -> Result<()> {
        if !self.folder.exists() {
            return Ok(());
        }
        match self.kind.engine() {
            None => wsl::down(&self.folder).context("ending the distributions"),
            Some(engine) => daemon::down(&self.folder, engine)
                .with_context(|| format!("stopping {}", engine.words().name)),
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = self.stop()
        {
            eprintln!("xtask: {error:#}");
        }
    }
}

/// Installs Nix where there is none and prepares the stand-in for nixpkgs; gives its folder.
pub(crate) fn prepare_nix() -> Result<PathBuf> {
    apt::programs(&[Program("nix", "nix-bin"), Program("git", "git"), Program("ssh", "openssh-client")])?;
    nixpkgs::prepare(&cache(), repository()).context("preparing the stand-in for nixpkgs")
}

/// A Nix that builds as whoever runs it, with no daemon, told by the environment only. Offline it is not to wait for
/// binary caches that cannot be reached.
pub(crate) fn nix_config(offline: bool) -> String {
    let alone = "experimental-features = nix-command flakes\nsandbox = false\nbuild-users-group =\n";
    if offline { format!("{alone}substituters =\n") } else { alone.to_owned() }
}

/// Where downloads are kept between runs: `$CODCHI_LAB_CACHE`, else below `$XDG_CACHE_HOME` or `~/.cache`.
pub(crate) fn cache() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("CODCHI_LAB_CACHE").unwrap_or_else(|| {
        named("XDG_CACHE_HOME")
            .or_else(|| named("HOME").map(|home| home.join(".cache")))
            .unwrap_or_else(std::env::temp_dir)
            .join("codchi-lab")
    })
}

fn need_root() -> Result<()> {
    let root = crate::process::output(std::process::Command::new("id").arg("-u"))?.trim() == "0";
    if !root {
        bail!(
            "starting an engine of its own needs root: run this as root (a container or virtual machine will do), \
             or use the LXD or Incus of this computer with `cargo xtask install`"
        );
    }
    if which("unshare").is_none() {
        bail!("`unshare` (util-linux) is missing");
    }
    Ok(())
}

fn standing_folder() -> PathBuf {
    std::env::temp_dir().join("codchi-lab")
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Says once what a lab is, so that nobody wonders about the minutes.
pub(crate) fn announce() {
    say(format!(
        "Engines for tests run in a folder of their own; downloads are kept in {}",
        cache().display()
    ));
}
