//! `codchi check`: the editor's diagnostics on the command line.

use super::output;
use crate::context::Context;
use crate::files::{Index, Trees, Wanted, list};
use crate::lsp::world;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use anyhow::Context as _;
use codchi_ide::{Analysis, Diagnostic, Facts, Files, Graph, Severity};
use codchi_module::{Document, LineCol, TextRange, TextSize, WideEncoding};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// So many files are looked at in a folder: more is a package collection, not a project.
const FILES: usize = 10_000;

#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 where there is nothing or only warnings, 1 where there are errors.")]
pub(crate) struct Check {
    /// Nix files, and folders to walk for them (without what git ignores)
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Also compare with the capabilities of this host
    #[arg(long)]
    host: bool,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    /// For people: with the source
    #[default]
    Human,
    /// For programs: a list of {path, code, severity, message, range}; lines and columns (in characters) count
    /// from 1
    Json,
}

/// The files that are checked, and those around them.
struct Disk {
    trees: Trees,
    listed: Vec<PathBuf>,
    index: Index,
}

impl Files for Disk {
    fn document(&self, path: &Path) -> Option<Arc<Document>> {
        self.trees.document(path)
    }

    fn facts(&self, path: &Path) -> Option<Arc<Facts>> {
        self.index.facts(path)
    }

    fn graph(&self) -> &Graph {
        self.index.graph()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn nix_files(&self) -> Vec<PathBuf> {
        self.listed.clone()
    }
}

impl Check {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let machines = context.machines();
        let status = machines.status().await?;
        let work = move || -> anyhow::Result<ExitCode> {
            let secrets = machines.vault().names().context("which secrets are set cannot be known")?;
            let capabilities = self.host.then(world::capabilities);
            let world = world::world(capabilities, Some(&secrets), &status);
            let listed = listed(&self.paths)?;
            let machines = world.machines.iter().flat_map(|machine| &machine.modules);
            let modules = listed.iter().cloned().chain(machines.map(|module| module.path.clone())).collect();
            let index = Index::load(&Wanted { folders: Vec::new(), modules }, &Index::default());
            let disk = Disk { trees: Trees::default(), listed, index };
            let analysis = Analysis::new(&disk, &world);
            let found: Vec<(PathBuf, Vec<Diagnostic>)> =
                disk.listed.iter().map(|path| (path.clone(), analysis.diagnostics(path))).collect();
            match self.format {
                Format::Human => human(&disk, &found)?,
                Format::Json => json(&disk, &found)?,
            }
            Ok(if count(&found, Severity::Error) > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        };
        tokio::task::spawn_blocking(work).await?
    }
}

/// The files that are meant, absolute, each once.
fn listed(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let absolute = normalised(path)?;
        let metadata =
            std::fs::metadata(&absolute).with_context(|| format!("reading {} failed", path.display()))?;
        if metadata.is_dir() {
            files.extend(list(&[absolute], FILES).files);
        } else {
            files.push(absolute);
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// The path from the root, without `.` and `..`.
fn normalised(path: &Path) -> std::io::Result<PathBuf> {
    let mut normalised = PathBuf::new();
    for part in std::path::absolute(path)?.components() {
        match part {
            std::path::Component::ParentDir => {
                normalised.pop();
            }
            part => normalised.push(part),
        }
    }
    Ok(normalised)
}

fn count(found: &[(PathBuf, Vec<Diagnostic>)], severity: Severity) -> usize {
    found.iter().flat_map(|(_, diagnostics)| diagnostics).filter(|it| it.severity == severity).count()
}

/// A path as a person calls it: from the current folder where it is below.
fn shown(path: &Path) -> String {
    let current = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&current).unwrap_or(path).display().to_string()
}

fn human(disk: &Disk, found: &[(PathBuf, Vec<Diagnostic>)]) -> anyhow::Result<()> {
    let decor = if std::io::stdout().is_terminal() { DecorStyle::Unicode } else { DecorStyle::Ascii };
    let renderer = Renderer::styled().decor_style(decor);
    for (path, diagnostics) in found {
        let Some(document) = disk.document(path) else { continue };
        for diagnostic in diagnostics {
            output::print(&excerpt(path, &document, diagnostic, &renderer))?;
            output::print("\n")?;
        }
    }
    let number = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let errors = number(count(found, Severity::Error), "error");
    let warnings = number(count(found, Severity::Warning), "warning");
    output::print(&format!("{errors}, {warnings} in {}", number(found.len(), "file")))
}

/// One diagnostic over the source it is about.
fn excerpt(path: &Path, document: &Document, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Information => Level::INFO,
        Severity::Hint => Level::HELP,
    };
    let code = code(diagnostic);
    let span = |range: TextRange| usize::from(range.start())..usize::from(range.end());
    let (title, rest) = diagnostic.message.split_once('\n').unwrap_or((&diagnostic.message, ""));
    let here = shown(path);
    let mut group: Group<'_> = level.primary_title(title).id(&code).element(
        Snippet::source(document.text())
            .path(&here)
            .annotation(AnnotationKind::Primary.span(span(diagnostic.range))),
    );
    if !rest.trim().is_empty() {
        group = group.element(Level::NOTE.message(rest.trim()));
    }
    renderer.render(&[group])
}

fn code(diagnostic: &Diagnostic) -> String {
    crate::lsp::code(diagnostic.code)
}

fn json(disk: &Disk, found: &[(PathBuf, Vec<Diagnostic>)]) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for (path, diagnostics) in found {
        let Some(document) = disk.document(path) else { continue };
        for diagnostic in diagnostics {
            all.push(serde_json::json!({
                "path": path,
                "code": diagnostic.code,
                "severity": diagnostic.severity,
                "message": diagnostic.message,
                "range": range(&document, diagnostic.range),
            }));
        }
    }
    output::json(&all)
}

fn range(document: &Document, range: TextRange) -> serde_json::Value {
    let place = |offset: TextSize| {
        let lines = document.lines();
        let LineCol { line, col } = lines.try_line_col(offset).unwrap_or(LineCol { line: 0, col: 0 });
        let column = lines.to_wide(WideEncoding::Utf32, LineCol { line, col }).map_or(col, |wide| wide.col);
        serde_json::json!({ "line": line + 1, "column": column + 1 })
    };
    serde_json::json!({ "start": place(range.start()), "end": place(range.end()) })
}
