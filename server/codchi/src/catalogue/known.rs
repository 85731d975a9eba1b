//! Catalogues as the analysis sees them.

use super::folder::{Entry, Key};
use super::packages::{Answer, Packages};
use super::questions::Asked;
use super::table::Table;
use codchi_ide::{Catalogue, CatalogueEntry, CatalogueOption};
use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a nixpkgs itself has.
#[derive(Debug)]
pub(super) struct Base {
    key: Key,
    path: PathBuf,
    options: Table,
    packages: Packages,
    questions: mpsc::UnboundedSender<Asked>,
}

/// What a nixpkgs has, and what the modules of a flake declare besides.
#[derive(Debug)]
pub(super) struct Known {
    base: Arc<Base>,
    own: Option<Table>,
    revision: String,
}

impl Base {
    /// Asks for the names of the packages at the top, unless they are known: they are what is wanted first.
    pub(super) fn new(
        key: Key,
        path: &Path,
        options: Table,
        entry: Entry,
        questions: mpsc::UnboundedSender<Asked>,
    ) -> Arc<Self> {
        let packages = Packages::new(entry);
        let base = Arc::new(Self { key, path: path.to_owned(), options, packages, questions });
        base.names(&[]);
        base
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The folder with the nixpkgs.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn packages(&self) -> &Packages {
        &self.packages
    }

    /// The names below a path of packages; asks for what is not known.
    fn names(self: &Arc<Self>, path: &[String]) -> Option<Vec<String>> {
        match self.packages.below(path) {
            Answer::Known(names) => Some(names),
            Answer::Unknown => None,
            Answer::Ask => {
                // Nobody answers any more when the session ends.
                let _ = self.questions.send((self.clone(), path.to_vec()));
                None
            }
        }
    }
}

impl Known {
    pub(super) fn new(base: Arc<Base>, own: Option<(Key, Table)>) -> Self {
        let revision = match &own {
            Some((key, _)) => format!("{}+{}", base.key.as_str(), key.as_str()),
            None => base.key.as_str().to_owned(),
        };
        Self { base, own: own.map(|(_, table)| table), revision }
    }
}

impl Catalogue for Known {
    fn children(&self, path: &[String]) -> Vec<CatalogueEntry> {
        let children = self.base.options.children(path);
        match &self.own {
            Some(own) => merged(children, own.children(path)),
            None => children,
        }
    }

    fn option(&self, path: &[String]) -> Option<CatalogueOption> {
        [Some(&self.base.options), self.own.as_ref()].into_iter().flatten().find_map(|table| {
            let read = table.option(path);
            read.inspect_err(|error| tracing::warn!("the documentation of an option cannot be read: {error}"))
                .ok()
                .flatten()
        })
    }

    fn packages(&self, path: &[String]) -> Option<Vec<String>> {
        self.base.names(path)
    }

    fn revision(&self) -> &str {
        &self.revision
    }
}

/// Both lists as one; each is sorted and has a name once.
fn merged(first: Vec<CatalogueEntry>, second: Vec<CatalogueEntry>) -> Vec<CatalogueEntry> {
    let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
    let mut both = Vec::with_capacity(first.len() + second.len());
    loop {
        let order = match (first.peek(), second.peek()) {
            (Some(a), Some(b)) => a.name.cmp(&b.name),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return both,
        };
        let a = if order == Ordering::Greater { None } else { first.next() };
        let b = if order == Ordering::Less { None } else { second.next() };
        both.extend(match (a, b) {
            (Some(a), Some(b)) => Some(CatalogueEntry {
                kind: a.kind.or(b.kind),
                has_children: a.has_children || b.has_children,
                name: a.name,
            }),
            (a, b) => a.or(b),
        });
    }
}
