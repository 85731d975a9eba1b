//! Fixtures: Nix text in, the facts as text out. One file per area.

mod definitions;
mod files;
mod lists;
mod names;
mod outline;
mod robust;
mod scopes;
mod secrets;
mod syntax;
mod uses;

use crate::{Document, Facts, Literal, TextRange};
use expect_test::Expect;
use std::fmt::Write as _;

/// Compares what `show` says about a text.
fn check(show: fn(&Document) -> String, text: &str, expected: Expect) {
    let document = Document::new(text);
    assert_eq!(document.syntax_errors(), [], "the fixture is not Nix");
    expected.assert_eq(&show(&document));
}

fn at(document: &Document, range: TextRange) -> &str {
    &document.text()[std::ops::Range::<usize>::from(range)]
}

/// `path = value`, with the names that are written at the definition in brackets, and `?` for one that is conditional.
fn options(document: &Document) -> String {
    let mut out = String::new();
    for option in &document.facts().options {
        let written: Vec<_> = option.segments.iter().map(|range| at(document, *range)).collect();
        let mark = mark(option.certainty);
        let _ = writeln!(out, "{} [{}] ={mark} {}", option.path, written.join(" "), literal(&option.value));
    }
    out
}

fn mark(certainty: crate::Certainty) -> &'static str {
    match certainty {
        crate::Certainty::Always => "",
        crate::Certainty::Conditional => "?",
    }
}

fn literal(value: &Literal) -> String {
    match value {
        Literal::List(items) => {
            format!("[{}]", items.iter().map(|(item, _)| literal(item)).collect::<Vec<_>>().join(" "))
        }
        other => format!("{other:?}"),
    }
}

/// Secrets, one a line.
fn secrets(document: &Document) -> String {
    let mut out = String::new();
    for secret in &document.facts().secrets {
        let description = secret.description.as_ref().map(|(text, _)| text.as_str());
        let required = secret.required.map_or("unknown".to_owned(), |required| required.to_string());
        let complete = if secret.complete { "complete" } else { "incomplete" };
        let _ = writeln!(
            out,
            "{:?}{} {} {description:?} required={required} {complete} at `{}` in `{}`",
            secret.spelling,
            mark(secret.certainty),
            secret.name,
            at(document, secret.name_range),
            at(document, secret.range).split_whitespace().collect::<Vec<_>>().join(" "),
        );
    }
    out
}

/// The options that are declared.
fn declared(document: &Document) -> String {
    let Facts { declared, may_declare_more, .. } = document.facts();
    let mut out: String = declared.iter().map(|path| format!("{path}\n")).collect();
    if *may_declare_more {
        out.push_str("and more\n");
    }
    out
}

/// Imports, capabilities and flake modules.
fn others(document: &Document) -> String {
    let Facts { capabilities, imports, flake_modules, may_be_module, .. } = document.facts();
    let mut out = String::new();
    if !may_be_module {
        out.push_str("no module\n");
    }
    for import in imports {
        let mark = mark(import.certainty);
        let _ = writeln!(out, "import{mark} {} at `{}`", import.path, at(document, import.range));
    }
    for capability in capabilities {
        let kind = if capability.required { "requires" } else { "uses" };
        let mark = mark(capability.certainty);
        let _ = writeln!(out, "{kind}{mark} {} at `{}`", capability.name, at(document, capability.range));
    }
    for module in flake_modules {
        let _ = writeln!(
            out,
            "{}.{} from {:?} at `{}`",
            module.kind,
            module.name,
            module.file,
            at(document, module.range)
        );
    }
    out
}
