//! What is wrong in a file: one file per diagnostic, each with its message and its fixes.
//!
//! Invariant: what only evaluation can know is not reported without one, nor what half-typed text makes doubtful.

mod capability_missing;
mod capability_undeclared;
mod capability_unknown;
mod deprecated_option;
mod duplicate_definition;
mod evaluation;
mod flake_output_missing;
mod import_not_found;
mod no_effect;
mod rules;
mod secret_in_store;
mod secret_name_invalid;
mod secret_not_set;
mod secret_undeclared;
mod secret_unused;
mod secret_without_description;
mod settings;
mod syntax;
mod unknown_option;
mod wrong_type;

pub(crate) use capability_missing::sentence;
pub(crate) use capability_unknown::is_capability_list;
pub(crate) use rules::allow;
pub use secret_unused::spellings;
pub(crate) use secret_unused::unused_in_nix;

use crate::asked::Asked;
use crate::modules::Modules;
use crate::suspect::Suspects;
use crate::{
    Action, ActionKind, Command, Diagnostic, DiagnosticCode, Document, Edit, Facts, FileChange, Files,
    Related, Severity, Tag, TextRange, TextSize, World,
};
use std::path::Path;

/// A diagnostic and what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) diagnostic: Diagnostic,
    /// What it was read from; the diagnostic's own range where nothing else matters.
    basis: TextRange,
    pub(crate) fixes: Vec<Action>,
}

/// What the diagnostics of one file are made from.
pub(crate) struct Context<'a> {
    path: &'a Path,
    document: &'a Document,
    facts: &'a Facts,
    modules: Modules<'a>,
    world: &'a World,
    asked: Asked<'a>,
}

/// All findings in a file, sorted by place.
pub(crate) fn findings(files: &dyn Files, world: &World, path: &Path) -> Vec<Finding> {
    let Some(document) = files.document(path) else { return Vec::new() };
    let errors = document.syntax_errors();
    let modules = Modules::new(files);
    let asked = Asked::new(modules, world, path, &document);
    let cx = Context { path, document: &document, facts: document.facts(), modules, world, asked };

    let mut semantic = Vec::new();
    unknown_option::find(&cx, &mut semantic);
    wrong_type::find(&cx, &mut semantic);
    secret_not_set::find(&cx, &mut semantic);
    secret_without_description::find(&cx, &mut semantic);
    secret_name_invalid::find(&cx, &mut semantic);
    capability_unknown::find(&cx, &mut semantic);
    capability_missing::find(&cx, &mut semantic);
    import_not_found::find(&cx, &mut semantic);
    deprecated_option::find(&cx, &mut semantic);
    duplicate_definition::find(&cx, &mut semantic);
    secret_undeclared::find(&cx, &mut semantic);
    secret_unused::find(&cx, &mut semantic);
    secret_in_store::find(&cx, &mut semantic);
    capability_undeclared::find(&cx, &mut semantic);
    no_effect::find(&cx, &mut semantic);
    flake_output_missing::find(&cx, &mut semantic);
    evaluation::find(&cx, &mut semantic);
    if !semantic.is_empty() {
        let suspects = Suspects::of(&document, &errors);
        semantic.retain(|finding| !suspects.contain(finding.basis));
        rules::apply(&cx, &mut semantic);
    }

    let mut all = semantic;
    all.extend(errors.into_iter().map(|error| syntax::finding(&document, error)));
    all.sort_by_key(|finding| {
        let Diagnostic { range, code, .. } = &finding.diagnostic;
        (range.start(), range.end(), *code)
    });
    all
}

impl Finding {
    fn new(code: DiagnosticCode, severity: Severity, range: TextRange, message: String) -> Self {
        let (related, tags) = (Vec::new(), Vec::new());
        let diagnostic = Diagnostic { code, severity, message, range, related, tags };
        Self { diagnostic, basis: range, fixes: Vec::new() }
    }

    /// Says what it was read from, where that is more than the diagnostic's range.
    fn based_on(self, basis: TextRange) -> Self {
        Self { basis, ..self }
    }

    /// Says that it was read from what is nowhere in the text, so that any doubtful place may be what is missing.
    fn based_on_all(self, cx: &Context<'_>) -> Self {
        self.based_on(TextRange::up_to(TextSize::of(cx.document.text())))
    }

    /// Adds another place that it is about.
    fn related(mut self, path: &Path, range: TextRange, message: impl Into<String>) -> Self {
        self.diagnostic.related.push(Related { path: path.to_owned(), range, message: message.into() });
        self
    }

    /// Says how the range may be shown.
    fn tagged(mut self, tag: Tag) -> Self {
        self.diagnostic.tags.push(tag);
        self
    }

    /// Adds a fix that changes the text.
    fn edit(self, title: String, edits: Vec<Edit>) -> Self {
        self.fix(title, edits, Command::None)
    }

    /// Adds a fix that changes this file and others.
    fn change(self, title: String, edits: Vec<Edit>, elsewhere: Vec<FileChange>) -> Self {
        self.action(title, edits, elsewhere, Command::None)
    }

    /// Adds a fix; the first one is the preferred one.
    fn fix(self, title: String, edits: Vec<Edit>, command: Command) -> Self {
        self.action(title, edits, Vec::new(), command)
    }

    fn action(
        mut self,
        title: String,
        edits: Vec<Edit>,
        elsewhere: Vec<FileChange>,
        command: Command,
    ) -> Self {
        let fixes = Some((self.diagnostic.code, self.diagnostic.range));
        let preferred = self.fixes.is_empty();
        let kind = ActionKind::QuickFix;
        self.fixes.push(Action { title, kind, fixes, edits, elsewhere, command, preferred });
        self
    }
}

/// The name that was most likely meant; `None` where none is near.
fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.to_lowercase());
    let limit = |other: &str| (name.len().max(other.len()) / 3).max(1);
    names
        .into_iter()
        .map(|other| (distance(other), other))
        .filter(|&(distance, other)| distance <= limit(other))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, other)| other)
}
