//! A text of a module that becomes a secret: its value goes into the vault, and what stands in its place gives the secret's
//! variable or file.
//!
//! Invariant: no value is left where it would end in the Nix store. What takes a value and nothing else is changed to what
//! takes a file, and the person is told so.

use super::config_argument::config_at;
use super::secret_name::suggested;
use super::shell::{Quotes, quotes_after};
use crate::modules::Modules;
use crate::syntax::{first_place, module_set, names, string, tokens_at};
use crate::{Document, Edit, Files, TextRange, TextSize, World};
use codchi_module::{FREE_NAME, is_identifier};
use rnix::ast::{Apply, AttrpathValue, Expr, Str};
use rnix::{SyntaxKind, SyntaxNode, SyntaxToken};
use rowan::ast::AstNode as _;
use std::collections::BTreeSet;
use std::path::Path;

/// Options whose values are shell scripts, in which secrets' variables are set.
const SCRIPTS: [&str; 5] = ["initScript", "interactiveShellInit", "loginShellInit", "shellHook", "shellInit"];
/// The same of a systemd service, which must ask for them.
const UNIT_SCRIPTS: [&str; 6] = ["postStart", "postStop", "preStart", "preStop", "reload", "script"];
/// Functions that make a file of their last argument.
const FILE_MAKERS: [&str; 2] = ["toFile", "writeText"];
/// Where secrets' files are.
const FOLDER: &str = "/run/codchi/secrets";

/// A text that can become a secret.
pub struct Extraction {
    /// The text, without what else is replaced.
    pub selected: TextRange,
    /// A name for the secret, which is not taken.
    pub suggested: String,
    /// Names of the secrets that there are.
    pub taken: BTreeSet<String>,
    value: String,
    replaced: TextRange,
    place: Place,
    /// How `config` is read there, and where the argument is added.
    config: Option<(String, Option<Edit>)>,
    /// Where the declaration goes, and what comes before it.
    declaration: (TextSize, String),
}

/// What stands around the text.
enum Place {
    /// A shell script, the unit that runs it, and how the variable is written.
    Script { unit: Option<String>, before: &'static str, braces: Option<&'static str>, after: &'static str },
    /// What takes the path of a file.
    File,
    /// An option that takes a value, and the range of its name: a sibling takes a file.
    Value { name: String, name_range: TextRange },
    /// Anything else.
    Other,
}

impl Extraction {
    /// The value, for the vault only.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What becomes of the text, for the person who is asked.
    #[must_use]
    pub fn explanation(&self, name: &str) -> String {
        match &self.place {
            Place::Script { unit: None, .. } => format!("The script then reads the variable `$CODCHI_{name}`."),
            Place::Script { unit: Some(unit), .. } => {
                format!("The script then reads the variable `$CODCHI_{name}`, which the service {unit} is given.")
            }
            Place::File => "The path of a file with the value then stands in its place.".to_owned(),
            Place::Value { name, .. } => format!(
                "`{name}` takes the value itself, which would be in the Nix store. So `{name}File` is set instead, to the path \
                 of a file with the value: see to it that this option exists."
            ),
            Place::Other => "What is in a module ends in the Nix store, so the path of a file with the value then stands in its \
                             place: what reads it must read that file."
                .to_owned(),
        }
    }

    /// The changes of the text, in its order, that make a secret of this name of it.
    #[must_use]
    pub fn edits(&self, name: &str) -> Vec<Edit> {
        let mut edits = Vec::new();
        let path = match &self.config {
            Some((config, edit)) => {
                let needs_config = !matches!(self.place, Place::Script { .. });
                edits.extend(edit.clone().filter(|_| needs_config));
                format!("{config}.codchi.secrets.{name}.path")
            }
            None => format!("\"{FOLDER}/{name}\""),
        };
        let new_text = match &self.place {
            Place::Script { before, braces: Some(open), after, .. } => {
                format!("{before}{open}CODCHI_{name}}}{after}")
            }
            Place::Script { before, braces: None, after, .. } => format!("{before}$CODCHI_{name}{after}"),
            Place::Value { name, name_range } => {
                edits.push(Edit { range: *name_range, new_text: format!("{name}File") });
                path
            }
            Place::File | Place::Other => path,
        };
        edits.push(Edit { range: self.replaced, new_text });
        edits.push(Edit { range: TextRange::empty(self.declaration.0), new_text: self.declare(name) });
        edits.sort_by_key(|edit| edit.range.start());
        edits
    }

    fn declare(&self, name: &str) -> String {
        let before = &self.declaration.1;
        let description = format!("description = \"What {name} is and where to get it\";");
        let mut more = String::new();
        if self.value.contains('\n') {
            more.push_str(" multiline = true;");
        }
        if let Place::Script { unit: Some(unit), .. } = &self.place {
            more.push_str(&format!(" units = [ \"{unit}\" ];"));
        }
        if more.is_empty() {
            format!("{before}codchi.secrets.{name}.{description}")
        } else {
            format!("{before}codchi.secrets.{name} = {{ {description}{more} }};")
        }
    }
}

/// The text at `range` as a secret; `None` where there is none that can become one.
pub(crate) fn extraction(
    files: &dyn Files,
    world: &World,
    path: &Path,
    range: TextRange,
) -> Option<Extraction> {
    let document = files.document(path)?;
    let facts = document.facts();
    let modules = Modules::new(files);
    if facts.has_syntax_errors || !facts.may_be_module || !modules.is_codchi(path) {
        return None;
    }
    let root = document.root();
    let token = string_token(root.syntax(), range)?;
    let text = Str::cast(token.parent()?)?;
    let node = text.syntax();
    if node
        .parent()
        .is_some_and(|it| matches!(it.kind(), SyntaxKind::NODE_ATTRPATH | SyntaxKind::NODE_INHERIT))
    {
        return None;
    }
    let binding = node.ancestors().find_map(AttrpathValue::cast)?;
    let option = facts
        .options
        .iter()
        .chain(&facts.settings)
        .filter(|used| used.value_range.contains_range(node.text_range()))
        .min_by_key(|used| used.value_range.len());
    let option_path: Vec<&str> =
        option.iter().flat_map(|used| used.path.0.iter()).map(String::as_str).collect();

    let found = match script(&binding, &option_path) {
        Script::Of(unit) => in_script(&document, &token, node, range, unit)?,
        Script::Unsure => return None,
        Script::No if option_path.first() == Some(&"codchi") => return None,
        Script::No => whole(&document, &text, &binding, option.map(|used| used.value_range))?,
    };
    let (selected, replaced, value, place) = found;
    if value.trim().is_empty() || value.contains('\0') {
        return None;
    }
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for file in modules.evaluated_with(world, path).iter() {
        taken.extend(modules.facts(file).iter().flat_map(|it| &it.secrets).map(|secret| secret.name.clone()));
    }
    taken.extend(facts.secrets.iter().map(|secret| secret.name.clone()));
    taken.extend(world.secrets.iter().flatten().cloned());
    let set = module_set(root.expr()?)?;
    let in_script = matches!(place, Place::Script { .. });
    let before = in_script.then(|| before_in_line(&document, selected));
    Some(Extraction {
        selected,
        suggested: suggested(before.as_deref(), &binding, &option_path, &taken),
        taken,
        value,
        replaced,
        place,
        config: config_at(node, root.expr()?).map(|config| (config.expression, config.edit)),
        declaration: first_place(&set, document.text())?,
    })
}

/// The string's token that holds the range.
fn string_token(root: &SyntaxNode, range: TextRange) -> Option<SyntaxToken> {
    let is_string = |token: &SyntaxToken| {
        matches!(
            token.kind(),
            SyntaxKind::TOKEN_STRING_CONTENT | SyntaxKind::TOKEN_STRING_START | SyntaxKind::TOKEN_STRING_END
        )
    };
    let token = tokens_at(root, range.start());
    let token = token.clone().right_biased().filter(is_string).or(token.left_biased().filter(is_string))?;
    token.parent()?.text_range().contains_range(range).then_some(token)
}

/// Whether a string is a shell script.
enum Script {
    /// It is, of this systemd service if of one.
    Of(Option<String>),
    /// It may be one that has no secrets' variables.
    Unsure,
    No,
}

fn script(binding: &AttrpathValue, option: &[&str]) -> Script {
    match option {
        ["systemd", "services", unit, script] if UNIT_SCRIPTS.contains(script) && *unit != FREE_NAME => {
            return Script::Of(Some((*unit).to_owned()));
        }
        _ => {}
    }
    let names = names(binding);
    let last = names.last().map(String::as_str).unwrap_or_default();
    let lower = last.to_lowercase();
    if SCRIPTS.contains(&last) {
        Script::Of(None)
    } else if UNIT_SCRIPTS.contains(&last) || lower.ends_with("script") || lower.ends_with("hook") {
        Script::Unsure
    } else {
        Script::No
    }
}

type Found = (TextRange, TextRange, String, Place);

/// A part of a script, which must be selected.
fn in_script(
    document: &Document,
    token: &SyntaxToken,
    node: &SyntaxNode,
    range: TextRange,
    unit: Option<String>,
) -> Option<Found> {
    let is_content = token.kind() == SyntaxKind::TOKEN_STRING_CONTENT;
    if range.is_empty() || !is_content || !token.text_range().contains_range(range) {
        return None;
    }
    let text = document.text();
    let value = text.get(usize::from(range.start())..usize::from(range.end()))?;
    // What means itself to the shell as well as to Nix.
    if value.contains(|c: char| c.is_whitespace() || matches!(c, '\\' | '\'' | '"' | '$' | '`')) {
        return None;
    }
    let indented = node.first_token()?.text() == "''";
    let mut before = String::new();
    for part in node.children_with_tokens() {
        let part = part.as_token().filter(|it| it.kind() == SyntaxKind::TOKEN_STRING_CONTENT).cloned();
        let Some(part) = part else { continue };
        if part == *token {
            let len = usize::from(range.start() - part.text_range().start());
            before.push_str(part.text().get(..len)?);
            break;
        }
        before.push_str(part.text());
    }
    let plain = if indented { before.replace("''$", "$").replace("'''", "''") } else { unescaped(&before) };
    let (before, after, replaced) = match quotes_after(&plain)? {
        Quotes::Double => ("", "", range),
        Quotes::None if indented => ("\"", "\"", range),
        Quotes::None => ("\\\"", "\\\"", range),
        // Only where the quotes are around nothing else: they are replaced.
        Quotes::Single => {
            let one = TextSize::of('\'');
            let around = TextRange::new(range.start() - one, range.end() + one);
            let quoted = text.get(usize::from(around.start())..usize::from(around.end()))?;
            if !quoted.starts_with('\'') || !quoted.ends_with('\'') {
                return None;
            }
            if indented { ("\"", "\"", around) } else { ("\\\"", "\\\"", around) }
        }
    };
    let next = text.get(usize::from(replaced.end())..)?.chars().next();
    let goes_on = after.is_empty() && next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let open = if indented { "''${" } else { "\\${" };
    let place = Place::Script { unit, before, braces: goes_on.then_some(open), after };
    Some((range, replaced, value.to_owned(), place))
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next().map(|c| if c == 'n' { '\n' } else { c })),
            c => plain.push(c),
        }
    }
    plain
}

/// A whole string that is no script.
fn whole(
    document: &Document,
    text: &Str,
    binding: &AttrpathValue,
    option_value: Option<TextRange>,
) -> Option<Found> {
    let value = string(text)?;
    let node = text.syntax();
    let selected = node.text_range();
    if let Some(made) = made_file(node) {
        return Some((selected, made, value, Place::File));
    }
    let is_value = binding.value().is_some_and(|it| it.syntax().text_range() == selected);
    let name = binding.attrpath()?.attrs().last()?;
    let name_range = name.syntax().text_range();
    let name = document.text().get(usize::from(name_range.start())..usize::from(name_range.end()))?;
    let is_option = is_value && option_value == Some(selected);
    let place = if is_option && takes_file(name) {
        Place::File
    } else if is_option
        && takes_credential(name)
        && is_identifier(name)
        && !has_sibling(binding, &format!("{name}File"))
    {
        Place::Value { name: name.to_owned(), name_range }
    } else {
        Place::Other
    };
    Some((selected, selected, value, place))
}

/// The call that makes a file of the string.
fn made_file(node: &SyntaxNode) -> Option<TextRange> {
    let call = Apply::cast(node.parent()?)?;
    let Expr::Apply(inner) = call.lambda()? else { return None };
    let callee = inner.lambda()?.syntax().text().to_string();
    let function = callee.rsplit('.').next()?;
    let is_last = call.argument()?.syntax() == node;
    (is_last && FILE_MAKERS.contains(&function)).then(|| call.syntax().text_range())
}

fn takes_file(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower.ends_with("file") || lower.ends_with("path")
}

fn takes_credential(name: &str) -> bool {
    let lower = name.to_lowercase().replace(['_', '-'], "");
    ["password", "passphrase", "token", "secret", "apikey", "privatekey", "secretkey", "accesskey"]
        .iter()
        .any(|end| lower.ends_with(end))
}

fn has_sibling(binding: &AttrpathValue, name: &str) -> bool {
    let siblings = binding.syntax().parent().into_iter().flat_map(|set| set.children());
    let mut others = siblings.filter_map(AttrpathValue::cast);
    others.any(|other| names(&other).last().is_some_and(|last| last == name))
}

fn before_in_line(document: &Document, range: TextRange) -> String {
    let before = document.text().get(..usize::from(range.start())).unwrap_or_default();
    before.rsplit('\n').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
