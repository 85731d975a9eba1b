//! Changes of code that is right: one file for each.

mod config_argument;
mod env_secret;
pub(crate) mod extract_secret;
mod flake_output;
mod secret_name;
mod shell;

use crate::{Action, ActionKind, Command, DiagnosticCode, Files, TextRange, World};
use std::path::Path;

/// What the text at `range` can be changed to.
pub(crate) fn refactorings(files: &dyn Files, world: &World, path: &Path, range: TextRange) -> Vec<Action> {
    let extract = extract_secret::extraction(files, world, path, range).map(|extraction| Action {
        title: "Move this text into a secret…".to_owned(),
        kind: ActionKind::Extract,
        fixes: None,
        edits: Vec::new(),
        elsewhere: Vec::new(),
        command: Command::ExtractSecret { path: path.to_owned(), range: extraction.selected },
        preferred: false,
    });
    let env = env_secret::to_plain(files, world, path, range);
    extract.into_iter().chain(env).chain(flake_output::actions(files, path, range)).collect()
}

/// The fix of a credential in the text at `range`.
pub(crate) fn move_credential(
    files: &dyn Files,
    world: &World,
    path: &Path,
    range: TextRange,
) -> Option<Action> {
    let extraction = extract_secret::extraction(files, world, path, range)?;
    Some(Action {
        title: "Move it into a secret…".to_owned(),
        kind: ActionKind::QuickFix,
        fixes: Some((DiagnosticCode::SecretInStore, range)),
        edits: Vec::new(),
        elsewhere: Vec::new(),
        command: Command::ExtractSecret { path: path.to_owned(), range: extraction.selected },
        preferred: true,
    })
}

/// A rewriting of this file.
fn rewrite(title: String, edits: Vec<crate::Edit>) -> Action {
    Action {
        title,
        kind: ActionKind::Rewrite,
        fixes: None,
        edits,
        elsewhere: Vec::new(),
        command: Command::None,
        preferred: false,
    }
}
