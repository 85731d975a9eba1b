//! What evaluations found about the module that a file is of, as far as it still holds.
//!
//! An evaluation is of texts that may have been edited since. What it says about a definition holds for as long as the
//! definition stands as it did, with the conditions around it.

use crate::changes::Changes;
use crate::modules::Modules;
use crate::{Document, Evaluated, EvaluatedManifest, EvaluatedSecret, ModuleKey, TextRange, World};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::ast::AstNode as _;
use std::path::Path;
use std::sync::Arc;

/// An evaluation of a module that a file may be of.
pub(crate) struct Evaluation<'a> {
    pub(crate) module: &'a ModuleKey,
    pub(crate) evaluated: &'a Evaluated,
    /// The text of the file that was evaluated.
    old: &'a Arc<str>,
    /// What has changed in the file since; `None` where nothing has.
    changes: Option<Changes>,
    /// Whether what it does not ask for counts: the file is of the module, rather than beside it.
    counts: bool,
}

/// All evaluations of modules that a file may be of.
pub(crate) struct Evaluations<'a> {
    pub(crate) all: Vec<Evaluation<'a>>,
    root: SyntaxNode,
    text: &'a str,
}

/// What evaluation knows about something that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word<T> {
    /// It is in force, and this is what it is.
    Asked(T),
    /// It is not in force.
    NotAsked,
    /// Nothing: there is no evaluation, or it is of another text.
    Nothing,
}

impl<'a> Evaluations<'a> {
    /// Those in which Nix may have read the file.
    pub(crate) fn of(modules: Modules<'_>, world: &'a World, path: &Path, document: &'a Document) -> Self {
        let text = document.text();
        let mut all: Vec<Evaluation<'a>> = Vec::new();
        for (module, evaluated) in &world.evaluations {
            if let Some(old) = evaluated.texts.get(path) {
                // Modules that share a file were mostly evaluated of the same text.
                let known = all.iter().find(|other| other.old == old).map(|other| other.changes.clone());
                let changes = known.unwrap_or_else(|| (**old != *text).then(|| Changes::between(old, text)));
                all.push(Evaluation { module, evaluated, old, changes, counts: true });
            }
        }
        // What is known to lead to the file counts more than what merely lies beside it.
        let holds = |of: &Evaluation<'_>| modules.holds(&of.module.0, of.module.1.as_deref(), path);
        if all.len() > 1 && all.iter().any(holds) {
            for evaluation in &mut all {
                evaluation.counts = holds(evaluation);
            }
        }
        Self { all, root: document.root().syntax().clone(), text }
    }

    /// What evaluations know of the user secret `name`, as defined at `place`.
    pub(crate) fn secret(&self, name: &str, place: TextRange) -> Word<&'a EvaluatedSecret> {
        let words = self.words(place, |manifest| manifest.secrets.get(name));
        // One module that requires it is enough.
        words
            .max_by_key(|word| match word {
                Word::Asked(secret) => 2 + u8::from(secret.required),
                Word::NotAsked => 1,
                Word::Nothing => 0,
            })
            .unwrap_or(Word::Nothing)
    }

    /// Whether evaluations know the capability `name`, as asked for at `place`, to be required (`true`) or optional.
    pub(crate) fn capability(&self, name: &str, place: TextRange) -> Word<bool> {
        let words = self.words(place, |manifest| {
            let required = manifest.required_capabilities.contains(name);
            (required || manifest.optional_capabilities.contains(name)).then_some(required)
        });
        words
            .max_by_key(|word| match word {
                Word::Asked(required) => 2 + u8::from(*required),
                Word::NotAsked => 1,
                Word::Nothing => 0,
            })
            .unwrap_or(Word::Nothing)
    }

    fn words<T>(
        &self,
        place: TextRange,
        find: impl Fn(&'a EvaluatedManifest) -> Option<T>,
    ) -> impl Iterator<Item = Word<T>> {
        self.all.iter().filter(move |evaluation| evaluation.stands(&self.root, place)).map(
            move |evaluation| {
                let Some(manifest) = &evaluation.evaluated.manifest else { return Word::Nothing };
                match find(manifest) {
                    Some(found) => Word::Asked(found),
                    None if is_complete(evaluation.evaluated) => Word::NotAsked,
                    None => Word::Nothing,
                }
            },
        )
    }

    /// Those of modules that the file is of.
    pub(crate) fn counting(&self) -> impl Iterator<Item = &Evaluation<'a>> {
        self.all.iter().filter(|evaluation| evaluation.counts)
    }

    /// The tree of the file.
    pub(crate) fn root(&self) -> &SyntaxNode {
        &self.root
    }

    /// The text of the file.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }
}

impl Evaluation<'_> {
    /// Whether the definition at `place` is the one that was evaluated, and so are the conditions around it.
    pub(crate) fn stands(&self, root: &SyntaxNode, place: TextRange) -> bool {
        self.changes.as_ref().is_none_or(|changes| stands(changes, root, place))
    }

    /// Where a place of the evaluated text is now.
    pub(crate) fn moved(&self, old: TextRange) -> Option<TextRange> {
        match &self.changes {
            Some(changes) => changes.moved(old),
            None => Some(old),
        }
    }

    /// Whether the file is the one that was evaluated, letter by letter.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.changes.is_none()
    }
}

/// Whether the manifest says all: what is not in it is not asked for.
pub(crate) fn is_complete(evaluated: &Evaluated) -> bool {
    let is_of_manifest = |option: &Option<Vec<String>>| {
        option.as_ref().and_then(|path| path.first()).is_none_or(|first| first == "codchi")
    };
    evaluated.manifest.is_some() && !evaluated.errors.iter().any(|error| is_of_manifest(&error.option))
}

/// Whether the definition around `place` stands as it did. What a set or a list has beside it does not matter, the conditions
/// and functions around do.
pub(crate) fn stands(changes: &Changes, root: &SyntaxNode, place: TextRange) -> bool {
    let Some(definition) = definition(root, place) else { return changes.stood(root.text_range()) };
    if !changes.stood(definition.text_range()) {
        return false;
    }
    let mut inner = definition;
    while let Some(outer) = inner.parent() {
        let matters = matches!(
            outer.kind(),
            SyntaxKind::NODE_APPLY
                | SyntaxKind::NODE_IF_ELSE
                | SyntaxKind::NODE_BIN_OP
                | SyntaxKind::NODE_WITH
                | SyntaxKind::NODE_ASSERT
                | SyntaxKind::NODE_ATTRPATH_VALUE
        );
        if matters && outer.children().any(|part| part != inner && !changes.stood(part.text_range())) {
            return false;
        }
        inner = outer;
    }
    true
}

/// The innermost definition around a place: a binding, or an `inherit`.
pub(crate) fn definition(root: &SyntaxNode, place: TextRange) -> Option<SyntaxNode> {
    if !root.text_range().contains_range(place) {
        return None;
    }
    let node = match root.covering_element(place) {
        rnix::NodeOrToken::Node(node) => node,
        rnix::NodeOrToken::Token(token) => token.parent()?,
    };
    node.ancestors()
        .find(|node| matches!(node.kind(), SyntaxKind::NODE_ATTRPATH_VALUE | SyntaxKind::NODE_INHERIT))
}
