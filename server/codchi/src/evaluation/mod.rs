//! What a module says, as evaluated by the real Nix: what the language server and `codchi check --eval` share.
//!
//! A [`Job`] holds the texts as they are in the editor. Where one of them is not what is on the disk, Nix reads a
//! [mirror](mirror) of the files; what it says is about the real paths in either case. Nothing is built.

mod found;
mod job;
#[cfg(unix)]
mod mirror;
#[cfg(windows)]
#[path = "mirror/windows.rs"]
mod mirror;

pub(crate) use job::{Job, Texts};

use crate::pins::{Pin, PinError, Pins};
use codchi_ide::{Evaluated, Machine};
use codchi_machine::{MachineError, Paths};
use codchi_nix::{CancellationToken, Depth, Inspect, Limits, Nix, NixError};
use job::Place;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// A lenient evaluation takes some 40 ms and 28 MiB; one that takes this much will not end, or is none of codchi's options
/// alone. A computer that is busy, and modules with a thousand options, are far below.
const LENIENT: Limits = Limits { time: Duration::from_secs(10), memory: 2 << 30, output: 16 << 20 };

/// The whole NixOS takes some 10 s and 1 GiB; large ones, on slow computers, a few times that.
const FULL: Limits = Limits { time: Duration::from_secs(120), memory: 4 << 30, output: 64 << 20 };

/// How modules are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Codchi's options alone; with the whole NixOS where that is not enough.
    #[default]
    Auto,
    /// Codchi's options alone.
    Lenient,
    /// Not at all.
    Off,
}

/// Why a module could not be evaluated, where that is not the module's doing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// There is no Nix, or no nixpkgs.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// Nix did not end as it should.
    #[error(transparent)]
    Nix(#[from] NixError),
    /// Our own Nix files cannot be written.
    #[error(transparent)]
    Files(#[from] MachineError),
}

impl Trouble {
    /// Whether it was only that nobody wanted to know any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self, Self::Pin(PinError::Cancelled) | Self::Nix(NixError::Cancelled))
    }

    /// What the person can do next, as a sentence.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Pin(error) => error.hint(),
            Self::Nix(error) => error.hint(),
            Self::Files(error) => error.hint(),
        }
    }

    /// Whether the same may well happen if the same is evaluated again.
    pub(crate) fn is_of_the_text(&self) -> bool {
        matches!(self, Self::Nix(_))
    }
}

/// How an evaluation ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What was found.
    pub(crate) found: Option<Evaluated>,
    /// What went wrong: nothing was found, or less than could have been.
    pub(crate) trouble: Option<Trouble>,
}

impl From<Trouble> for Outcome {
    fn from(trouble: Trouble) -> Self {
        Self { found: None, trouble: Some(trouble) }
    }
}

/// What all evaluations have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Surroundings {
    /// The machines of this computer.
    pub(crate) machines: Vec<Machine>,
    /// The nixpkgs that a new machine gets, where that is configured.
    pub(crate) nixpkgs: Option<String>,
    /// How thoroughly.
    pub(crate) mode: Mode,
}

/// Evaluates modules.
pub(crate) struct Evaluator {
    pins: Arc<Pins>,
    paths: Paths,
    ours: OnceCell<PathBuf>,
}

impl Evaluator {
    /// Asks Nix nothing yet.
    pub(crate) fn new(pins: Arc<Pins>, paths: Paths) -> Self {
        Self { pins, paths, ours: OnceCell::new() }
    }

    /// Evaluates a module; `tell` gets what is known before the whole is, which takes its time.
    pub(crate) async fn evaluate(
        &self,
        job: Arc<Job>,
        surroundings: &Surroundings,
        tell: &(dyn Fn(Evaluated) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Outcome {
        match self.prepare(job, surroundings, cancel).await {
            Ok(prepared) => prepared.evaluate(surroundings.mode, tell, cancel).await,
            Err(trouble) => trouble.into(),
        }
    }

    async fn prepare(
        &self,
        job: Arc<Job>,
        surroundings: &Surroundings,
        cancel: &CancellationToken,
    ) -> Result<Prepared, Trouble> {
        let nix = self.pins.nix().await?;
        let Surroundings { machines, nixpkgs, .. } = surroundings;
        let pin = self.pins.of(job.key(), machines, nixpkgs.as_deref(), cancel).await?;
        let paths = self.paths.clone();
        let ours = self.ours.get_or_try_init(|| async {
            blocking(move || codchi_machine::our_nix(&paths)).await?.map_err(Trouble::from)
        });
        let ours = ours.await?.clone();
        let place = blocking(move || job.place()).await?;
        Ok(Prepared { nix, pin, ours, place: Arc::new(place) })
    }
}

/// An evaluation that only Nix is needed for.
struct Prepared {
    nix: Nix,
    pin: Arc<Pin>,
    ours: PathBuf,
    place: Arc<Place>,
}

impl Prepared {
    async fn evaluate(
        &self,
        mode: Mode,
        tell: &(dyn Fn(Evaluated) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Outcome {
        let (found, complete) = match self.inspect(Depth::Lenient, cancel).await {
            Ok(found) => found,
            Err(trouble) => return trouble.into(),
        };
        // Errors come first: the whole would only say them again.
        let is_enough = complete || !found.errors.is_empty() || mode != Mode::Auto;
        if is_enough || !self.pin.path.join("nixos").is_dir() {
            return Outcome { found: Some(found), trouble: None };
        }
        tell(found.clone());
        match self.inspect(Depth::Full, cancel).await {
            Ok((found, _)) => Outcome { found: Some(found), trouble: None },
            Err(trouble) => Outcome { found: Some(found), trouble: Some(trouble) },
        }
    }

    /// What was found, and whether that is all there is.
    async fn inspect(&self, depth: Depth, cancel: &CancellationToken) -> Result<(Evaluated, bool), Trouble> {
        let inspect = Inspect {
            module: self.place.module(),
            nixpkgs: self.pin.path.clone(),
            codchi: self.ours.clone(),
            depth,
            reads: self.place.reads().clone(),
            limits: if depth == Depth::Full { FULL } else { LENIENT },
        };
        let inspection = self.nix.inspect(&inspect, cancel).await?;
        tracing::debug!("Nix took {} ms ({depth:?})", inspection.took.as_millis());
        let (place, foreign) = (self.place.clone(), [self.pin.path.clone(), self.ours.clone()]);
        blocking(move || {
            let mut inspection = inspection;
            if inspection.complete && depth == Depth::Lenient {
                inspection.complete = !found::others_ask_for_options(&inspection, &place, &foreign);
            }
            let complete = inspection.complete;
            (found::evaluated(inspection, &place, &foreign), complete)
        })
        .await
    }
}

/// What evaluations that were killed have left. Blocking.
pub(crate) fn leftovers() -> Vec<codchi_machine::Leftover> {
    mirror::leftovers()
}

/// Does what may take a while on a thread for that.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    // It panics only where there is a mistake, which the hook logs.
    tokio::task::spawn_blocking(work).await.map_err(|_| Trouble::Nix(NixError::Cancelled))
}
