//! Who is asked.

use async_trait::async_trait;
use codchi_machine::CancellationToken;
use codchi_nix::{Nix, NixError, Survey};
use std::fs::File;

/// Answers questions about a nixpkgs: [`Nix`], or a test.
#[async_trait]
pub(crate) trait Surveyor: Send + Sync {
    /// As [`Nix::survey`].
    async fn survey(
        &self,
        survey: &Survey,
        answer: &File,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, NixError>;
}

/// The Nix of this computer. Looked for each time: it may come and go, and there are few questions.
pub(crate) struct ThisComputer;

#[async_trait]
impl Surveyor for ThisComputer {
    async fn survey(
        &self,
        survey: &Survey,
        answer: &File,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, NixError> {
        Nix::find().await?.survey(survey, answer, cancel).await
    }
}
