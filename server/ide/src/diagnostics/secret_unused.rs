//! `secret-unused`: a secret that is delivered as a variable, and whose name nothing in the project mentions.
//!
//! Programs get at variables in many ways, so this speaks only where all files were looked through, no spelling of the name
//! is anywhere but in its declaration, and nothing else may use it: a unit, a script that runs later, the module of an input.

use super::{Context, Finding};
use crate::evaluated::Word;
use crate::references::declared;
use crate::syntax::{binding_at, with_line};
use crate::{DiagnosticCode, Edit, Facts, Files, Mentions, Severity, Tag, TextRange, TextSize};
use codchi_module::{Certainty, Literal, OptionUse, SecretDeclaration, SecretSpelling};
use rowan::ast::AstNode as _;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Inputs whose modules, packages and functions know nothing of the person's secrets.
const STRANGERS: [&str; 6] = ["self", "nixpkgs", "flake-utils", "flake-parts", "systems", "codchi"];

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let Some(mentions) = &cx.world.mentions else { return };
    let mut secrets: Vec<&SecretDeclaration> =
        cx.facts.secrets.iter().filter(|secret| may_be_unused(secret)).collect();
    // The cheap questions first: this is asked at every keystroke.
    secrets.retain(|secret| is_in_nix_only(mentions, &secret.name));
    if secrets.is_empty() || !cx.modules.is_codchi(cx.path) || cx.modules.may_be_part_of_more(cx.path) {
        return;
    }
    let Some(module) = seen(cx, mentions) else { return };
    secrets.retain(|secret| {
        !matches!(cx.asked.evaluations().secret(&secret.name, secret.range), Word::NotAsked)
            && module.iter().all(|(_, facts)| is_plain(facts, &secret.name))
            && mentions.names.get(&secret.name).is_some_and(|files| {
                let files = files.iter().map(PathBuf::as_path).chain([cx.path]);
                files.collect::<BTreeSet<_>>().into_iter().all(|file| only_declares(cx, file, &secret.name))
            })
    });
    let mut names = BTreeSet::new();
    secrets.retain(|secret| names.insert(&secret.name));
    findings.extend(secrets.into_iter().map(|secret| finding(cx, secret, &module)));
}

/// The ways in which a secret's name may be written, in lower case: programs that map variables to settings spell it as they
/// like.
#[must_use]
pub fn spellings(name: &str) -> BTreeSet<String> {
    let name = name.to_ascii_lowercase();
    ["_", "-", ".", ""].into_iter().map(|between| name.replace('_', between)).collect()
}

/// The names of the secrets that these files declare as variables and no Nix file uses.
pub(crate) fn unused_in_nix(files: &dyn Files, paths: &[PathBuf]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let facts: Vec<Arc<Facts>> = paths.iter().filter_map(|path| files.facts(path)).collect();
    for facts in &facts {
        let secrets = facts.secrets.iter().filter(|secret| may_be_unused(secret));
        names.extend(secrets.map(|secret| secret.name.clone()));
    }
    for used in facts.iter().flat_map(|facts| &facts.secret_uses) {
        names.remove(&used.name);
    }
    names
}

fn may_be_unused(secret: &SecretDeclaration) -> bool {
    secret.spelling != SecretSpelling::File && secret.complete && secret.certainty == Certainty::Always
}

fn is_in_nix_only(mentions: &Mentions, name: &str) -> bool {
    let is_nix = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "nix");
    mentions.names.get(name).is_some_and(|files| files.iter().all(is_nix))
}

/// The files of the module, where everything is seen that may use a secret.
fn seen(cx: &Context<'_>, mentions: &Mentions) -> Option<Vec<(Arc<Path>, Arc<Facts>)>> {
    let mut module = Vec::new();
    for file in cx.modules.evaluated_with(cx.world, cx.path).iter() {
        let facts = cx.modules.facts(file)?;
        let is_known_input = |read: &Vec<String>| {
            read.first().is_none_or(|input| {
                STRANGERS.contains(&input.as_str())
                    || input.starts_with("nixpkgs")
                    || input.starts_with("nixos-")
            })
        };
        let is_seen = !facts.has_syntax_errors
            && !facts.may_declare_more
            && !facts.secrets_unseen
            && !cx.modules.imports_unknown(file)
            && facts.input_reads.iter().all(is_known_input)
            && !facts.options.iter().any(|used| is_at(used, &["codchi", "initScript"]))
            && mentions.folders.iter().any(|folder| file.starts_with(folder));
        if !is_seen {
            return None;
        }
        module.push((file.clone(), facts));
    }
    // A function that a module calls with `config` is in no list of imports.
    let reads_all = |path: &PathBuf| cx.modules.facts(path).is_some_and(|facts| facts.reads_all_secrets);
    let elsewhere = cx.modules.nix_files().iter().any(reads_all);
    let here = module.iter().any(|(_, facts)| facts.reads_all_secrets);
    (!elsewhere && !here).then_some(module)
}

fn is_at(used: &OptionUse, path: &[&str]) -> bool {
    used.path.0.iter().map(String::as_str).eq(path.iter().copied())
}

/// Whether a file of the module neither uses the secret nor says of it what makes something else use it.
fn is_plain(facts: &Facts, name: &str) -> bool {
    let option = |used: &OptionUse| -> Option<String> {
        let mut path = used.path.0.iter().map(String::as_str);
        let is_secret = path.next() == Some("codchi") && path.next() == Some("secrets");
        let first = path.next().filter(|_| is_secret)?;
        let it = if matches!(first, "env" | "file") { path.next()? } else { first };
        path.next().filter(|_| it == name).map(str::to_owned)
    };
    !facts.secret_uses.iter().any(|used| used.name == name)
        && facts.secrets.iter().filter(|secret| secret.name == name).all(may_be_unused)
        && facts.options.iter().all(|used| match option(used).as_deref() {
            Some("deliver") => matches!(
                &used.value,
                Literal::List(items) if items.iter().any(|(item, _)| *item == Literal::String("env".into()))
            ),
            Some("units") => used.value == Literal::List(Vec::new()),
            _ => true,
        })
}

/// Whether a Nix file, as it is now, mentions the secret where it declares it and nowhere else.
fn only_declares(cx: &Context<'_>, path: &Path, name: &str) -> bool {
    let Some(document) = cx.modules.document(path) else { return false };
    let facts = document.facts();
    let own: Vec<TextRange> = facts
        .secrets
        .iter()
        .filter(|secret| secret.name == name)
        .map(|secret| secret.range)
        .chain(parts(facts, name).map(|(used, at)| at.cover(used.value_range)))
        .collect();
    let text = document.text().to_ascii_lowercase();
    spellings(name).iter().all(|spelling| {
        text.match_indices(spelling.as_str()).all(|(at, found)| {
            let range = TextSize::try_from(at).map(|at| TextRange::at(at, TextSize::of(found)));
            range.is_ok_and(|range| own.iter().any(|own| own.contains_range(range)))
        })
    })
}

/// The definitions at which the secret's name is written, and where.
fn parts<'a>(facts: &'a Facts, name: &'a str) -> impl Iterator<Item = (&'a OptionUse, TextRange)> {
    facts.options.iter().filter_map(move |used| {
        let (of, range) = declared(used)?;
        (of == name).then_some((used, range))
    })
}

fn finding(cx: &Context<'_>, secret: &SecretDeclaration, module: &[(Arc<Path>, Arc<Facts>)]) -> Finding {
    let name = &secret.name;
    let message = format!(
        "Nothing in this project mentions the secret `{name}`, and yet everybody is asked for its value. Remove it, or \
         use it as `$CODCHI_{name}`."
    );
    let mut finding = Finding::new(DiagnosticCode::SecretUnused, Severity::Hint, secret.name_range, message)
        .based_on_all(cx)
        .tagged(Tag::Unnecessary);
    let mut is_here_only = true;
    for (file, facts) in module.iter().filter(|(file, _)| **file != *cx.path) {
        for other in facts.secrets.iter().filter(|other| other.name == *name) {
            is_here_only = false;
            finding = finding.related(file, other.name_range, format!("`{name}` is declared here as well"));
        }
    }
    match removal(cx, name).filter(|_| is_here_only) {
        Some(edits) => finding.edit(format!("Remove the secret `{name}`"), edits),
        None => finding,
    }
}

/// The edits that remove all definitions of a secret in this file, with their lines where they are alone there.
fn removal(cx: &Context<'_>, name: &str) -> Option<Vec<Edit>> {
    let (root, text) = (cx.document.root(), cx.document.text());
    let mut ranges: Vec<TextRange> = Vec::new();
    for (_, at) in parts(cx.facts, name) {
        let binding = binding_at(root.syntax(), at.start())?.syntax().text_range();
        if !ranges.iter().any(|known| known.contains_range(binding)) {
            ranges.push(binding);
        }
    }
    let edits =
        ranges.into_iter().map(|range| Edit { range: with_line(text, range), new_text: String::new() });
    let edits: Vec<Edit> = edits.collect();
    (!edits.is_empty()).then_some(edits)
}

#[cfg(test)]
mod tests;
