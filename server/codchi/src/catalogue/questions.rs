//! Questions about packages that came up while something else was asked: answered in the background, known later.

use super::CatalogueError;
use super::folder::Folder;
use super::known::Base;
use super::surveyor::Surveyor;
use codchi_machine::CancellationToken;
use codchi_nix::{Limits, NixError, PackageNames, Survey, SurveyQuestion};
use std::fs::File;
use std::io::{BufReader, Seek as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The names at the top take about a second, those of a large set another one.
const PACKAGES: Limits = Limits { time: Duration::from_secs(120), memory: 4 << 30, output: 32 << 20 };

/// So many are asked together.
const TOGETHER: usize = 16;

/// A path of a nixpkgs' packages whose names somebody wants to know.
pub(super) type Asked = (Arc<Base>, Vec<String>);

/// The questions that come up.
pub(crate) struct Questions {
    folder: Folder,
    surveyor: Arc<dyn Surveyor>,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl Questions {
    pub(super) fn new(
        folder: Folder,
        surveyor: Arc<dyn Surveyor>,
        asked: mpsc::UnboundedReceiver<Asked>,
    ) -> Self {
        Self { folder, surveyor, asked }
    }

    /// Answers them, one after the other, until nobody can ask any more or it is cancelled.
    pub(crate) async fn answer(mut self, cancel: CancellationToken) {
        let mut next = None;
        let mut alone: Vec<Asked> = Vec::new();
        loop {
            let (base, paths) = if let Some((base, path)) = alone.pop() {
                (base, vec![path])
            } else {
                let (base, path) = match next.take() {
                    Some(asked) => asked,
                    None => tokio::select! {
                        asked = self.asked.recv() => match asked {
                            Some(asked) => asked,
                            None => return,
                        },
                        () = cancel.cancelled() => return,
                    },
                };
                let mut paths = vec![path];
                while paths.len() < TOGETHER
                    && let Ok(asked) = self.asked.try_recv()
                {
                    if !Arc::ptr_eq(&asked.0, &base) {
                        next = Some(asked);
                        break;
                    }
                    paths.push(asked.1);
                }
                (base, paths)
            };
            match self.ask(&base, paths.clone(), &cancel).await {
                Ok(answers) => answers.into_iter().for_each(|answer| base.packages().set(answer)),
                Err(CatalogueError::Cancelled) => return,
                // What ended the process is one of them; the others have an answer.
                Err(CatalogueError::Nix(NixError::Failed { .. })) if paths.len() > 1 => {
                    alone.extend(paths.into_iter().map(|path| (base.clone(), path)));
                }
                Err(error) => {
                    let paths: Vec<String> =
                        paths.iter().map(|path| format!("pkgs.{}", path.join("."))).collect();
                    let error = crate::error::report(&error);
                    tracing::info!("packages of {} are not completed: {error}", paths.join(", "));
                }
            }
        }
    }

    async fn ask(
        &self,
        base: &Base,
        paths: Vec<Vec<String>>,
        cancel: &CancellationToken,
    ) -> Result<Vec<PackageNames>, CatalogueError> {
        let _lock = self.folder.lock(cancel).await?;
        let mut answer: File = tempfile::tempfile()?;
        let question = SurveyQuestion::Packages(paths);
        let survey = Survey { nixpkgs: base.path().to_owned(), question, limits: PACKAGES };
        self.surveyor.survey(&survey, &answer, cancel).await?;
        answer.rewind()?;
        serde_json::from_reader(BufReader::new(answer)).map_err(|error| CatalogueError::Io(error.into()))
    }
}
