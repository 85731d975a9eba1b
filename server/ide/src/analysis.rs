//! The entry: one method per editor feature.

use crate::diagnostics::{findings, unused_in_nix};
use crate::{
    Action, Completions, Diagnostic, Document, Edit, Evaluable, Extraction, Facts, Fold, Graph, Hover,
    InlayHint, Lens, Link, Reference, SemanticToken, Symbol, Target, TextRange, TextSize, WorkspaceSymbol,
    World, actions, completion, definition, evaluable, folding, hover, inlay_hints, lenses, links, refactor,
    references, rename, selection, semantic_tokens, symbols, workspace_symbols,
};
use rowan::ast::AstNode as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where documents come from: open buffers first, then the disk.
pub trait Files {
    /// The document at an absolute, normalised path; `None` where there is none or it is not text. A text that is
    /// open and lies nowhere has a relative path.
    fn document(&self, path: &Path) -> Option<Arc<Document>>;
    /// What it says; cheaper than the document, which may have to be read and parsed anew.
    fn facts(&self, path: &Path) -> Option<Arc<Facts>> {
        self.document(path).map(|document| document.shared_facts())
    }
    /// Whether a file or folder exists at the path.
    fn exists(&self, path: &Path) -> bool;
    /// Whether it is a folder.
    fn is_folder(&self, path: &Path) -> bool;
    /// Paths of the workspace's Nix files. May be incomplete.
    fn nix_files(&self) -> Vec<PathBuf>;
    /// Who imports whom: these files, and all that they lead to. [`Graph::of`] makes one.
    fn graph(&self) -> &Graph;
}

/// Answers questions about one moment: these files, this world.
pub struct Analysis<'a> {
    files: &'a dyn Files,
    world: &'a World,
}

impl<'a> Analysis<'a> {
    /// Looks at nothing yet.
    #[must_use]
    pub fn new(files: &'a dyn Files, world: &'a World) -> Self {
        Self { files, world }
    }

    /// What is wrong in a file, sorted by place. Syntax for every Nix file, the rest for codchi modules.
    #[must_use]
    pub fn diagnostics(&self, path: &Path) -> Vec<Diagnostic> {
        findings(self.files, self.world, path).into_iter().map(|finding| finding.diagnostic).collect()
    }

    /// The modules that a file is a part of and that Nix can say more about.
    #[must_use]
    pub fn evaluables(&self, path: &Path) -> Vec<Evaluable> {
        evaluable::evaluables(self.files, self.world, path)
    }

    /// The names of the environment secrets that these files declare and no Nix file of the workspace uses: whether
    /// anything else mentions them is for [`World::mentions`] to say.
    #[must_use]
    pub fn unused_secrets(&self, paths: &[PathBuf]) -> BTreeSet<String> {
        unused_in_nix(self.files, paths)
    }

    /// What can be typed at `offset`, also in half-typed code.
    #[must_use]
    pub fn completions(&self, path: &Path, offset: TextSize) -> Completions {
        completion::completions(self.files, self.world, path, offset)
    }

    /// What is known about what is at `offset`.
    #[must_use]
    pub fn hover(&self, path: &Path, offset: TextSize) -> Option<Hover> {
        hover::hover(self.files, self.world, path, offset)
    }

    /// Where what is at `offset` comes from.
    #[must_use]
    pub fn definition(&self, path: &Path, offset: TextSize) -> Vec<Target> {
        definition::definition(self.files, self.world, path, offset)
    }

    /// The outline.
    #[must_use]
    pub fn symbols(&self, path: &Path) -> Vec<Symbol> {
        symbols::symbols(self.files, path)
    }

    /// What can be done about `range`.
    #[must_use]
    pub fn actions(&self, path: &Path, range: TextRange) -> Vec<Action> {
        actions::actions(self.files, self.world, path, range)
    }

    /// The text at `range` as a secret: what becomes of it; `None` where there is none that can become one.
    #[must_use]
    pub fn extraction(&self, path: &Path, range: TextRange) -> Option<Extraction> {
        refactor::extract_secret::extraction(self.files, self.world, path, range)
    }

    /// The lenses of a file that a machine is or can be made of.
    #[must_use]
    pub fn lenses(&self, path: &Path) -> Vec<Lens> {
        lenses::lenses(self.files, self.world, path)
    }

    /// Every place of the secret or the name at `offset`, by file and in order of the text.
    #[must_use]
    pub fn references(&self, path: &Path, offset: TextSize) -> Vec<Reference> {
        references::references(self.files, self.world, path, offset)
    }

    /// What a rename at `offset` is of: its range and its name.
    ///
    /// # Errors
    /// Why nothing can be renamed there, as a sentence.
    pub fn prepare_rename(&self, path: &Path, offset: TextSize) -> Result<(TextRange, String), String> {
        rename::prepare(self.files, path, offset)
    }

    /// The changes that rename what is at `offset`, by file.
    ///
    /// # Errors
    /// Why it cannot be renamed, or not so, as a sentence.
    pub fn rename(
        &self,
        path: &Path,
        offset: TextSize,
        new_name: &str,
    ) -> Result<BTreeMap<PathBuf, Vec<Edit>>, String> {
        rename::rename(self.files, self.world, path, offset, new_name)
    }

    /// What can be folded.
    #[must_use]
    pub fn folds(&self, path: &Path) -> Vec<Fold> {
        self.files.document(path).map(|document| folding::folds(&document)).unwrap_or_default()
    }

    /// The ranges around `offset`, the innermost first.
    #[must_use]
    pub fn selection(&self, path: &Path, offset: TextSize) -> Vec<TextRange> {
        let document = self.files.document(path);
        document.map(|document| selection::selection(document.root().syntax(), offset)).unwrap_or_default()
    }

    /// What the names of a file are; only those that touch `within`, where it is given.
    #[must_use]
    pub fn semantic_tokens(&self, path: &Path, within: Option<TextRange>) -> Vec<SemanticToken> {
        let document = self.files.document(path);
        document.map(|document| semantic_tokens::semantic_tokens(&document, within)).unwrap_or_default()
    }

    /// The links of a file.
    #[must_use]
    pub fn links(&self, path: &Path) -> Vec<Link> {
        links::links(self.files, path)
    }

    /// The words beside the text within `range`.
    #[must_use]
    pub fn inlay_hints(&self, path: &Path, range: TextRange) -> Vec<InlayHint> {
        inlay_hints::inlay_hints(self.files, self.world, path, range)
    }

    /// The symbols of the workspace that have the letters of `query` in this order.
    #[must_use]
    pub fn workspace_symbols(&self, query: &str) -> Vec<WorkspaceSymbol> {
        workspace_symbols::workspace_symbols(self.files, query)
    }
}
