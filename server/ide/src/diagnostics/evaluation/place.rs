//! Where an error of an evaluation belongs.

use super::definitions::{Match, best, named_in, path_range};
use crate::changes::Changes;
use crate::diagnostics::Context;
use crate::evaluated::{Evaluation, stands};
use crate::modules::Resolved;
use crate::syntax::tokens_at;
use crate::{Document, EvaluationError, FileSet, Place, Related, TextRange, TextSize};
use codchi_module::{OptionUse, TextSize as Size};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::ast::AstNode as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So many other places are named.
const MOST_RELATED: usize = 8;

/// A place in the file that is looked at.
pub(super) struct Found {
    pub(super) range: TextRange,
    pub(super) related: Vec<Related>,
}

/// Looks for the places of an evaluation's errors.
pub(super) struct Places<'a> {
    cx: &'a Context<'a>,
    evaluation: &'a Evaluation<'a>,
    root: &'a SyntaxNode,
}

/// The definitions of an option, by file.
type Definitions = Vec<(Arc<Path>, Vec<OptionUse>)>;

impl<'a> Places<'a> {
    pub(super) fn new(cx: &'a Context<'a>, evaluation: &'a Evaluation<'a>) -> Self {
        Self { cx, evaluation, root: cx.asked.evaluations().root() }
    }

    /// Where an error is; `None` where it is in another file, or where what it is about was edited.
    pub(super) fn of(&self, error: &EvaluationError) -> Option<Found> {
        let known = error.places.iter().position(|place| self.offset(place).is_some());
        if let Some(at) = known {
            let place = &error.places[at];
            return (place.path == self.cx.path).then(|| self.at(error, at, place)).flatten();
        }
        let files = self.files(error);
        let named = named_in(&error.message);
        for option in error.option.iter().chain(&named) {
            let definitions = self.definitions(option, &files);
            if !definitions.is_empty() {
                return self.at_definitions(error, option, &definitions);
            }
        }
        if let Some((file, range)) = self.import(error, &files) {
            return (*file == *self.cx.path && self.stands(range))
                .then(|| Found { range, related: Vec::new() });
        }
        self.whole(error)
    }

    /// The innermost place that Nix gives in a file that is known.
    fn at(&self, error: &EvaluationError, index: usize, place: &Place) -> Option<Found> {
        let old = TextRange::empty(self.offset(place)?);
        let range = marked(self.root, self.evaluation.moved(old)?.start())?;
        self.stands(range).then(|| {
            let frames = error.places.iter().skip(index + 1);
            let mut related: Vec<Related> = Vec::new();
            for frame in frames.filter_map(|frame| self.frame(frame)) {
                let is_new = (frame.path != self.cx.path || frame.range != range)
                    && !related.iter().any(|known| (&known.path, known.range) == (&frame.path, frame.range));
                if is_new && related.len() < MOST_RELATED {
                    related.push(frame);
                }
            }
            Found { range, related }
        })
    }

    /// A place on the way to the error.
    fn frame(&self, place: &Place) -> Option<Related> {
        let old = TextRange::empty(self.offset(place)?);
        let document = self.cx.modules.document(&place.path)?;
        let moved = match self.changes(&place.path, &document)? {
            None => old,
            Some(changes) => changes.moved(old)?,
        };
        let range = marked(document.root().syntax(), moved.start())?;
        let message = "Nix was led here on the way to it".to_owned();
        Some(Related { path: place.path.clone(), range, message })
    }

    /// The offset of a place in the text that was evaluated; `None` for files that nobody edits here.
    fn offset(&self, place: &Place) -> Option<TextSize> {
        let text = self.evaluation.evaluated.texts.get(&place.path)?;
        self.cx.modules.facts(&place.path)?;
        let skip = usize::try_from(place.line.checked_sub(1)?).ok()?;
        let start: usize = text.split_inclusive('\n').take(skip).map(str::len).sum();
        let line = text.get(start..)?.lines().next().filter(|_| text.lines().count() > skip)?;
        let column = usize::try_from(place.column.checked_sub(1)?).ok().filter(|at| *at <= line.len())?;
        TextSize::try_from(start + line.floor_char_boundary(column)).ok()
    }

    /// The files in which the option may be defined: those that Nix names, else all of the module.
    fn files(&self, error: &EvaluationError) -> FileSet {
        let named = error.files.iter().filter(|file| self.evaluation.evaluated.texts.contains_key(*file));
        let named: std::collections::BTreeSet<Arc<Path>> = named
            .filter(|file| self.cx.modules.facts(file).is_some())
            .map(|file| file.as_path().into())
            .collect();
        if !named.is_empty() {
            return Arc::new(named);
        }
        let (path, output) = self.evaluation.module;
        self.cx.modules.files_of(path, output.as_deref())
    }

    /// The definitions that match an option best, in all of the files.
    fn definitions(&self, option: &[String], files: &FileSet) -> Definitions {
        let mut found: Option<(Match, Definitions)> = None;
        for file in files.iter() {
            let Some(facts) = self.cx.modules.facts(file) else { continue };
            let Some((how_well, uses)) = best(&facts, option) else { continue };
            let uses: Vec<OptionUse> = uses.into_iter().cloned().collect();
            let entry = (file.clone(), uses);
            match &mut found {
                Some((before, all)) if *before == how_well => all.push(entry),
                Some((before, _)) if *before > how_well => {}
                _ => found = Some((how_well, vec![entry])),
            }
        }
        found.map(|(_, definitions)| definitions).unwrap_or_default()
    }

    /// The first definition, where that is in this file and all of them are those that were evaluated.
    fn at_definitions(
        &self,
        error: &EvaluationError,
        option: &[String],
        definitions: &Definitions,
    ) -> Option<Found> {
        // Nix names the file of the definition that it refuses first.
        let is_named = |(file, _): &&(Arc<Path>, Vec<OptionUse>)| {
            error.files.first().is_some_and(|first| **first == **file)
        };
        let (file, uses) = definitions.iter().find(is_named).or(definitions.first())?;
        if **file != *self.cx.path {
            return None;
        }
        let first = uses.first()?;
        let mut related = Vec::new();
        for (file, uses) in definitions {
            let document = self.cx.modules.document(file)?;
            if let Some(changes) = self.changes(file, &document)? {
                let old = self.evaluation.evaluated.texts.get(&**file)?;
                let root = document.root();
                let all_stand = uses.iter().all(|used| stands(&changes, root.syntax(), path_range(used)));
                // Another definition may be gone, and the error with it.
                let is_lost = option.last().is_some_and(|name| changes.lost(old, name));
                if !all_stand || is_lost {
                    return None;
                }
            }
            for used in uses.iter().filter(|used| **file != *self.cx.path || *used != first) {
                if related.len() < MOST_RELATED {
                    let message = format!("`{}` is also defined here", used.path);
                    related.push(Related { path: file.to_path_buf(), range: path_range(used), message });
                }
            }
        }
        Some(Found { range: path_range(first), related })
    }

    /// The import of a file that Nix says is not there.
    fn import(&self, error: &EvaluationError, files: &FileSet) -> Option<(PathBuf, TextRange)> {
        for file in files.iter() {
            let Some(facts) = self.cx.modules.facts(file) else { continue };
            let outputs = facts.flake_modules.iter();
            let outputs = outputs.filter_map(|module| Some((module.file.as_ref()?, module.range)));
            let imports = facts.imports.iter().map(|import| (&import.path, import.range)).chain(outputs);
            for (written, range) in imports {
                if let Resolved::Missing(path) = self.cx.modules.resolve(file, written)
                    && error.message.contains(&path.display().to_string())
                {
                    return Some((file.to_path_buf(), range));
                }
            }
        }
        None
    }

    /// The beginning of the file that the error is about, as long as nothing in it is edited.
    fn whole(&self, error: &EvaluationError) -> Option<Found> {
        let is_known = |file: &&PathBuf| {
            self.evaluation.evaluated.texts.contains_key(*file) && self.cx.modules.facts(file).is_some()
        };
        let (path, output) = self.evaluation.module;
        let is_here = match error.files.iter().find(is_known) {
            Some(file) => *file == self.cx.path,
            None => {
                let first = self.cx.modules.first_file(path, output.as_deref());
                first.is_some_and(|first| *first == *self.cx.path)
            }
        };
        if !is_here || !self.evaluation.is_unchanged() {
            return None;
        }
        let mut tokens = std::iter::successors(self.root.first_token(), rnix::SyntaxToken::next_token);
        let token = tokens.find(|token| !token.kind().is_trivia())?;
        Some(Found { range: token.text_range(), related: Vec::new() })
    }

    fn stands(&self, range: TextRange) -> bool {
        self.evaluation.stands(self.root, range)
    }

    /// What has changed in a file since it was evaluated: `Some(None)` where nothing has, `None` where it was not evaluated.
    fn changes(&self, file: &Path, document: &Document) -> Option<Option<Changes>> {
        let old = self.evaluation.evaluated.texts.get(file)?;
        Some((**old != *document.text()).then(|| Changes::between(old, document.text())))
    }
}

/// What is marked for a place: the name, the selection or the value that begins there, never more than a line.
fn marked(root: &SyntaxNode, offset: Size) -> Option<TextRange> {
    let at = tokens_at(root, offset).right_biased()?;
    let mut tokens = std::iter::successors(Some(at), rnix::SyntaxToken::next_token);
    let token = tokens.find(|token| !token.kind().is_trivia())?;
    let start = token.text_range().start();
    let whole = token
        .parent_ancestors()
        .take_while(|node| node.text_range().start() == start)
        .take_while(|node| {
            matches!(
                node.kind(),
                SyntaxKind::NODE_IDENT
                    | SyntaxKind::NODE_LITERAL
                    | SyntaxKind::NODE_STRING
                    | SyntaxKind::NODE_PATH_ABS
                    | SyntaxKind::NODE_PATH_REL
                    | SyntaxKind::NODE_PATH_HOME
                    | SyntaxKind::NODE_PATH_SEARCH
                    | SyntaxKind::NODE_ATTRPATH
                    | SyntaxKind::NODE_SELECT
                    | SyntaxKind::NODE_HAS_ATTR
            )
        })
        .filter(|node| !node.text().contains_char('\n'))
        .last();
    let range = whole.map_or(token.text_range(), |node| node.text_range());
    // A token may have several lines itself, as a string's text has.
    let text = token.text();
    match text.find('\n') {
        Some(line) if range == token.text_range() => {
            Some(TextRange::at(start, TextSize::try_from(line.max(1)).ok()?))
        }
        _ => Some(range),
    }
}
