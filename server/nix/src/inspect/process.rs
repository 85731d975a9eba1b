//! One process of an evaluation.

use super::read::Note;
use super::request::{Known, expression};
use super::{Depth, Inspect};
use crate::evaluate::{Evaluated, Evaluation, Failed, WHAT};
use crate::{CancellationToken, Nix, NixError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// Makes the processes of one evaluation; they share its time.
pub(super) struct Runner<'a> {
    nix: &'a Nix,
    pub(super) inspect: &'a Inspect,
    cancel: &'a CancellationToken,
    end: Instant,
}

/// What a process said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) result: Result<serde_json::Value, Failed>,
    /// In the order in which they were printed.
    pub(super) notes: Vec<Note>,
    pub(super) files: BTreeSet<PathBuf>,
    pub(super) took: Duration,
}

impl<'a> Runner<'a> {
    pub(super) fn new(nix: &'a Nix, inspect: &'a Inspect, cancel: &'a CancellationToken) -> Self {
        Self { nix, inspect, cancel, end: Instant::now() + inspect.limits.time }
    }

    /// Whether a file is neither of codchi nor of nixpkgs.
    pub(super) fn is_users(&self, file: &Path) -> bool {
        !file.starts_with(&self.inspect.codchi) && !file.starts_with(&self.inspect.nixpkgs)
    }

    /// Asks `inspect.nix`.
    pub(super) async fn ask(
        &self,
        known: Known,
        skip: &[Vec<String>],
        only: Option<&[String]>,
    ) -> Result<Answer, NixError> {
        let is_full = self.inspect.depth == Depth::Full;
        let evaluation = Evaluation {
            input: expression(self.inspect, known, skip, only)?,
            nixpkgs: &self.inspect.nixpkgs,
            limits: self.inspect.limits,
            end: self.end,
            // Only where it is read.
            has_trace: only.is_some() || is_full,
            is_small: !is_full,
            background: false,
        };
        let mut notes = Vec::new();
        let mut note = |line: &str| notes.extend(Note::read(line));
        let Evaluated { result, files, took } = self.nix.evaluate(evaluation, &mut note, self.cancel).await?;
        let result = match result {
            Ok(json) => Ok(serde_json::from_slice(&json)
                .map_err(|source| NixError::Output { command: WHAT.into(), source })?),
            Err(failed) => Err(failed),
        };
        tracing::debug!(?known, ?only, ?took, ok = result.is_ok(), "evaluated");
        Ok(Answer { result, notes, files, took })
    }
}
