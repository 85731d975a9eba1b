//! `codchi check`: the editor's diagnostics on the command line, for people and for CI. One file per format.

mod disk;
mod evaluate;
mod github;
mod human;
mod json;
mod report;
mod rules;
mod sarif;

use super::output;
use crate::context::Context;
use crate::files::{Scan, list, read, read_from, roots};
use crate::levels;
use crate::lsp::world;
use anyhow::{Context as _, bail};
use codchi_ide::{Analysis, Mentions, Severity, World};
use codchi_machine::VaultError;
use codchi_module::Document;
use disk::Disk;
use report::{Report, Unread};
use rules::Rules;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// So many files are looked at in a folder: more is a package collection, not a project.
const FILES: usize = 10_000;

/// The path that stands for standard input.
const STDIN: &str = "-";

/// The exit code where something could not be looked at.
pub(super) const UNREAD: u8 = 2;

#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 where nothing is an error, 1 where something is, 2 where the command line is \
                        wrong, something cannot be read, or --eval cannot evaluate for a reason that is not the \
                        module's (all the rest is checked nevertheless)."
)]
pub(crate) struct Check {
    /// Nix files, and folders to walk for them (without what git ignores); `-` is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Take this for an error: a diagnostic's code, or `warnings` for all warnings; may be repeated
    #[arg(long, value_name = "CODE", value_parser = rules::denied)]
    deny: Vec<String>,
    /// Do not report this: a diagnostic's code; may be repeated
    #[arg(long, value_name = "CODE", value_parser = rules::code)]
    allow: Vec<String>,
    /// The file that standard input is the text of: what it imports is looked for there
    #[arg(long, value_name = "PATH")]
    stdin_path: Option<PathBuf>,
    /// Also compare with the capabilities of this host
    #[arg(long)]
    host: bool,
    /// Also evaluate the modules that the files are of, with Nix; nothing is built
    #[arg(long)]
    eval: bool,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    /// For people: with the source
    #[default]
    Human,
    /// For programs: a list of {path, code, severity, message, range, related}; lines and columns (in characters)
    /// count from 1
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Commands that GitHub Actions shows as annotations
    Github,
}

impl Check {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let machines = context.machines();
        let status = machines.status().await?;
        let (levels, problems) = levels::read(&context.config.diagnostics);
        if let Some(problem) = problems.first() {
            bail!("the levels of diagnostics in config.toml are not understood: {problem}");
        }
        let rules = codchi_ide::Rules { levels };
        let work = move || -> anyhow::Result<_> {
            let options = machines.options();
            let secrets = match world::set_names(machines.vault(), options, &machines.paths().home) {
                // Nobody is asked: then nothing is said about values.
                Err(VaultError::Locked { .. }) => None,
                names => Some(names.context("which secrets are set cannot be known")?),
            };
            let capabilities = self.host.then(|| world::capabilities(&machines.host()));
            let secrets_elsewhere = options.providers.may_have_more();
            let world = world::world(capabilities, secrets.as_ref(), &status);
            let world = World { rules, secrets_elsewhere, ..world };
            let (files, unread) = self.listed()?;
            let stdin = self.stdin()?;
            let disk = Disk::new(files, stdin, &world);
            let world = World { mentions: self.mentions(&disk, &world)?, ..world };
            Ok((self, Arc::new(disk), world, unread))
        };
        let (check, disk, mut world, unread) = tokio::task::spawn_blocking(work).await??;
        let unevaluated = match check.eval {
            true => evaluate::evaluate(&disk, &mut world, context).await?,
            false => Vec::new(),
        };
        tokio::task::spawn_blocking(move || check.report(&disk, &world, unread, unevaluated)).await?
    }

    /// Checks and prints.
    fn report(
        self,
        disk: &Disk,
        world: &World,
        unread: Vec<Unread>,
        unevaluated: Vec<String>,
    ) -> anyhow::Result<ExitCode> {
        let rules = Rules { deny: self.deny, allow: self.allow };
        let report = Report { unevaluated, ..Report::of(disk, world, &rules, unread) };
        match self.format {
            Format::Human => human::print(&report)?,
            Format::Json => json::print(&report)?,
            Format::Sarif => sarif::print(&report)?,
            Format::Github => github::print(&report)?,
        }
        for trouble in report.troubles() {
            // Where standard error is closed, nobody can be told.
            let _ = output::error(&format!("error: {trouble}"));
        }
        Ok(match report.troubles().next().is_none() {
            false => ExitCode::from(UNREAD),
            true if report.count(Severity::Error) > 0 => ExitCode::FAILURE,
            true => ExitCode::SUCCESS,
        })
    }

    /// The files that are meant, absolute, each once; and what cannot be looked at.
    fn listed(&self) -> anyhow::Result<(Vec<PathBuf>, Vec<Unread>)> {
        let (mut files, mut unread) = (Vec::new(), Vec::new());
        for path in self.paths.iter().filter(|path| path.as_os_str() != STDIN) {
            let absolute = normalised(path)?;
            match std::fs::metadata(&absolute) {
                Ok(metadata) if metadata.is_dir() => {
                    let listing = list(&[absolute], FILES);
                    let errors = listing.errors.into_iter();
                    unread.extend(errors.map(|(path, why)| Unread { path: shown(&path), why }));
                    files.extend(listing.files);
                }
                Ok(_) => files.push(absolute),
                Err(error) => unread.push(Unread { path: shown(path), why: error.to_string() }),
            }
        }
        files.sort();
        files.dedup();
        Ok((files, unread))
    }

    /// Where the names of the secrets that no Nix file uses are written in the projects of the files.
    fn mentions(&self, disk: &Disk, world: &World) -> anyhow::Result<Option<Arc<Mentions>>> {
        let names = Analysis::new(disk, world).unused_secrets(disk.checked());
        if names.is_empty() {
            return Ok(None);
        }
        let paths = self.paths.iter().filter(|path| path.as_os_str() != STDIN).chain(&self.stdin_path);
        let paths: Vec<PathBuf> = paths.map(|path| normalised(path)).collect::<Result<_, _>>()?;
        Ok(Scan::of(&roots(&paths, world), names, &Scan::default()).mentions().cloned())
    }

    /// Standard input, where it is asked for: the path that it is the text of, and the text.
    fn stdin(&self) -> anyhow::Result<Option<(PathBuf, Arc<Document>)>> {
        if self.paths.iter().all(|path| path.as_os_str() != STDIN) {
            return Ok(None);
        }
        let text = read_from(std::io::stdin().lock())
            .map_err(|why| anyhow::anyhow!("reading standard input failed: {why}"))?;
        let path = match &self.stdin_path {
            Some(path) => normalised(path)?,
            // Relative: a text that lies nowhere.
            None => PathBuf::from("<stdin>"),
        };
        Ok(Some((path, Arc::new(Document::new(text)))))
    }
}

/// The path from the root, without `.` and `..`.
fn normalised(path: &Path) -> std::io::Result<PathBuf> {
    Ok(codchi_module::normalise(&std::path::absolute(path)?))
}

/// A path as a person calls it: from the current folder where it is below.
fn shown(path: &Path) -> String {
    let current = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&current).unwrap_or(path).display().to_string()
}

/// Why a file has no document.
fn why_unread(path: &Path) -> String {
    read(path).err().unwrap_or_else(|| "it changed meanwhile".to_owned())
}
