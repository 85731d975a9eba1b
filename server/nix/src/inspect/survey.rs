//! A whole evaluation: first what fails and what is dynamic, then why.

use super::explain::{Reason, error, explain, named};
use super::process::{Answer, Runner};
use super::read::Note;
use super::request::Known;
use super::{Depth, Inspect, InspectError, Inspection};
use crate::evaluate::{Failed, WHAT};
use crate::{CancellationToken, Nix, NixError};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What `nix/inspect.nix` gives.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Survey {
    /// The modules as such do not evaluate.
    broken: bool,
    /// Paths that do not evaluate.
    failed: Vec<Vec<String>>,
    manifest: Option<serde_json::Value>,
    /// Whether `manifest` has all.
    complete: bool,
    /// Definitions of options that do not exist.
    unmatched: Vec<Unmatched>,
}

#[derive(Debug, serde::Deserialize)]
struct Unmatched {
    path: Vec<String>,
    file: String,
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    inspection: Inspection,
    /// Paths during whose evaluation something was needed that is not known.
    unknown: BTreeSet<Vec<String>>,
    /// Whether modules were left out.
    unseen: bool,
}

impl Nix {
    /// Evaluates a module: what it asks of the host, and each of its options that does not evaluate. Builds, fetches and
    /// writes nothing.
    ///
    /// # Errors
    /// [`NixError::Failed`] where not even codchi's options evaluate with this nixpkgs; [`NixError::TooSlow`],
    /// [`NixError::TooMuchMemory`] and [`NixError::TooMuchOutput`] where a limit is reached; and the others. An error of
    /// the module is none of this function.
    pub async fn inspect(
        &self,
        request: &Inspect,
        cancel: &CancellationToken,
    ) -> Result<Inspection, NixError> {
        let runner = Runner::new(self, request, cancel);
        let mut findings = Findings::default();
        // What ended a process, and with what; it is left out of the next one.
        let mut ended: Vec<(Vec<String>, Failed)> = Vec::new();
        let survey = loop {
            let skip: Vec<_> = ended.iter().map(|(path, _)| path.clone()).collect();
            let mut answer = runner.ask(Known::Values, &skip, None).await?;
            findings.note(&runner, &mut answer);
            match answer.result {
                Ok(value) => {
                    break serde_json::from_value::<Survey>(value)
                        .map_err(|source| NixError::Output { command: WHAT.into(), source })?;
                }
                Err(failed) => match last_begun(&answer.notes) {
                    // Not even codchi's own files.
                    None => return Err(failed.into()),
                    Some([]) => break Survey { broken: true, ..Survey::default() },
                    Some(path)
                        if ended.len() < Inspection::MOST_ERRORS && !skip.iter().any(|old| old == path) =>
                    {
                        ended.push((path.to_vec(), failed));
                    }
                    // It ends whatever is left out: what was found is all that will be.
                    Some(_) => break Survey { failed: skip, ..Survey::default() },
                },
            }
        };
        if survey.broken {
            findings.explain_all(&runner, &[Vec::new()], &[]).await?;
            return Ok(findings.inspection);
        }
        findings.unmatched(&runner, survey.unmatched);
        findings.explain_all(&runner, &survey.failed, &ended).await?;
        let mut inspection = findings.inspection;
        inspection.dynamic.sort();
        let knows_options = request.depth == Depth::Full || !request.reads.options;
        inspection.complete =
            survey.complete && !findings.unseen && knows_options && survey.manifest.is_some();
        inspection.manifest = survey.manifest;
        Ok(inspection)
    }
}

impl Findings {
    /// Takes what a process noted.
    fn note(&mut self, runner: &Runner<'_>, answer: &mut Answer) {
        self.count(runner, answer);
        let mut current: &[String] = &[];
        for note in &answer.notes {
            match note {
                Note::Begin(path) => current = path,
                Note::Unknown(_) => drop(self.unknown.insert(current.to_vec())),
                Note::Unseen(_) => self.unseen = true,
            }
        }
    }

    fn count(&mut self, runner: &Runner<'_>, answer: &mut Answer) {
        self.inspection.took += answer.took;
        let files = std::mem::take(&mut answer.files);
        self.inspection.files.extend(files.into_iter().filter(|file| runner.is_users(file)));
    }

    /// Options that do not exist, unless a module that was left out may have them.
    fn unmatched(&mut self, runner: &Runner<'_>, unmatched: Vec<Unmatched>) {
        if self.unseen {
            return;
        }
        let mut errors: Vec<InspectError> = Vec::new();
        for Unmatched { path, file } in unmatched {
            let file = Some(PathBuf::from(file)).filter(|file| file.is_absolute());
            if let Some(error) = errors.iter_mut().find(|error| error.option.as_ref() == Some(&path)) {
                error.files.extend(file.filter(|file| !error.files.contains(file)));
                continue;
            }
            errors.push(InspectError {
                message: format!("The option `{}' does not exist.", path.join(".")),
                option: Some(path),
                files: file.into_iter().collect(),
                ..InspectError::default()
            });
        }
        // Options that only codchi's own files define are those of another NixOS release.
        errors.retain(|error| error.files.iter().any(|file| !file.starts_with(&runner.inspect.codchi)));
        errors.truncate(Inspection::MOST_ERRORS);
        self.inspection.errors = errors;
    }

    /// Finds out why `failed` fail; `ended` are those of which that is known in a full evaluation.
    async fn explain_all(
        &mut self,
        runner: &Runner<'_>,
        failed: &[Vec<String>],
        ended: &[(Vec<String>, Failed)],
    ) -> Result<(), NixError> {
        let mut open = Vec::new();
        for path in failed {
            let known = ended.iter().find(|(other, _)| other == path).map(|(_, failed)| failed);
            match known {
                Some(failed) if failed.is_unknown() => self.dynamic(path),
                Some(failed) if runner.inspect.depth == Depth::Full => {
                    self.error(error(runner, path, failed))
                }
                _ if self.unknown.contains(path) => self.dynamic(path),
                _ => open.push(path),
            }
        }
        let room = Inspection::MOST_ERRORS.saturating_sub(self.inspection.errors.len());
        open.truncate(room);
        for pair in open.chunks(2) {
            let results = match pair {
                [one, other] => {
                    let (one, other) = tokio::try_join!(explain(runner, one), explain(runner, other))?;
                    vec![one, other]
                }
                _ => vec![explain(runner, pair[0]).await?],
            };
            for (path, (reason, answers)) in pair.iter().zip(results) {
                for mut answer in answers {
                    self.count(runner, &mut answer);
                }
                match reason {
                    Reason::Unknown => self.dynamic(path),
                    Reason::Error(error) => self.error(*error),
                }
            }
        }
        Ok(())
    }

    fn dynamic(&mut self, path: &[String]) {
        let option = named(path).unwrap_or_else(|| vec!["codchi".into()]);
        if !self.inspection.dynamic.contains(&option) {
            self.inspection.dynamic.push(option);
        }
    }

    /// An option that others need fails with them as well; it is told of once.
    fn error(&mut self, error: InspectError) {
        let errors = &mut self.inspection.errors;
        let is_known = |other: &InspectError| match &error.option {
            Some(option) => other.option.as_ref() == Some(option),
            None => *other == error,
        };
        if errors.len() < Inspection::MOST_ERRORS && !errors.iter().any(is_known) {
            errors.push(error);
        }
    }
}

fn last_begun(notes: &[Note]) -> Option<&[String]> {
    notes.iter().rev().find_map(|note| match note {
        Note::Begin(path) => Some(path.as_slice()),
        _ => None,
    })
}
