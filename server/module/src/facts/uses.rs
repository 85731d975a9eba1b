//! What a file uses: user secrets, packages, other options and a flake's inputs, wherever they are named; and, as that is the same walk, what it binds twice.

use super::{Duplicate, PackageUse, SecretSpelling, SecretUse, SecretUseKind};
use crate::scope::{Argument, Scope, attr_name, ident_text, is_recursive};
use crate::{TextRange, TextSize};
use rnix::SyntaxKind::{self, TOKEN_STRING_CONTENT};
use rnix::SyntaxNode;
use rnix::ast::{self, Expr};
use rowan::WalkEvent;
use rowan::ast::AstNode as _;
use std::collections::{BTreeSet, HashSet};

/// What the environment variables of secrets begin with.
const PREFIX: &str = "CODCHI_";

/// What is used, and what is bound twice; in order of the text.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) secrets: Vec<SecretUse>,
    /// Whether all secrets are read at once.
    pub(super) all_secrets: bool,
    pub(super) packages: Vec<PackageUse>,
    /// Paths that are read of `config`, without those below `codchi`.
    pub(super) config: BTreeSet<Vec<String>>,
    /// Paths that are read of a flake's inputs.
    pub(super) inputs: BTreeSet<Vec<String>>,
    pub(super) duplicates: Vec<Duplicate>,
    /// Whether something is asked of the argument `options`.
    pub(super) options: bool,
    /// Names that are inputs in this file.
    input_names: HashSet<String>,
    /// Selections and names of which is known only in the end whether they are of the module's arguments: what they begin
    /// with, and whether a `with` that may bring packages is around.
    open: Vec<(String, SyntaxNode, bool)>,
    /// Names that a `let` binds to a part of a module argument, or that are all arguments.
    aliases: HashSet<String>,
}

/// All uses below `root`, in one walk. `inputs` are the names that are inputs, in a flake.
pub(super) fn uses(scope: &Scope, root: &SyntaxNode, inputs: HashSet<String>) -> Uses {
    let mut uses = Uses { input_names: inputs, ..Uses::default() };
    // How many `with` that may bring packages are around.
    let mut withs = 0_u32;
    for event in root.preorder() {
        match event {
            WalkEvent::Enter(node) => match node.kind() {
                SyntaxKind::NODE_WITH => withs += 1,
                SyntaxKind::NODE_STRING => uses.string(&node),
                SyntaxKind::NODE_SELECT | SyntaxKind::NODE_HAS_ATTR => {
                    if let Some(base) = leftmost(&node) {
                        uses.open.push((base, node, withs > 0));
                    }
                }
                SyntaxKind::NODE_IDENT => {
                    uses.options = uses.options || is_options(scope, &node);
                    if withs > 0 {
                        uses.ident(scope, &node);
                    }
                }
                SyntaxKind::NODE_INHERIT => uses.inherit(scope, &node),
                SyntaxKind::NODE_ATTRPATH_VALUE => uses.alias(&node),
                SyntaxKind::NODE_PAT_BIND => {
                    uses.aliases.extend(node.first_child().as_ref().and_then(leftmost))
                }
                SyntaxKind::NODE_ATTR_SET
                | SyntaxKind::NODE_LET_IN
                | SyntaxKind::NODE_LEGACY_LET
                | SyntaxKind::NODE_PATTERN => super::duplicates::at(&node, &mut uses.duplicates),
                _ => {}
            },
            WalkEvent::Leave(node) => {
                if node.kind() == SyntaxKind::NODE_WITH {
                    withs -= 1;
                }
            }
        }
    }
    for (base, node, in_with) in std::mem::take(&mut uses.open) {
        let is_alias = uses.aliases.contains(&base);
        let is_argument = matches!(base.as_str(), "pkgs" | "config") || is_alias;
        if node.kind() == SyntaxKind::NODE_HAS_ATTR {
            uses.has_attr(scope, &node);
        } else if let Some(path) = uses.input(scope, &node, &base, is_alias) {
            uses.inputs.insert(path);
        } else if is_argument || in_with {
            uses.select(scope, &node, in_with);
        }
    }
    uses.secrets.sort_by_key(|secret| secret.range.start());
    // `(config.a or b).c` is a selection in another.
    uses.secrets.dedup_by(|again, first| {
        let same = again.range == first.range;
        first.guarded |= same && again.guarded;
        same
    });
    uses.packages.sort_by_key(|package| package.range.start());
    uses.duplicates.sort_by_key(|duplicate| duplicate.second.start());
    uses
}

/// The name that a selection, or an expression in parentheses, begins with.
fn leftmost(node: &SyntaxNode) -> Option<String> {
    let mut node = node.clone();
    loop {
        node = match node.kind() {
            SyntaxKind::NODE_IDENT => return Some(node.first_token()?.text().to_owned()),
            SyntaxKind::NODE_SELECT | SyntaxKind::NODE_HAS_ATTR | SyntaxKind::NODE_PAREN => {
                node.first_child()?
            }
            _ => return None,
        };
    }
}

/// Whether a name is the argument `options`, where it is used: as a variable, or as a part of all arguments.
fn is_options(scope: &Scope, node: &SyntaxNode) -> bool {
    // By the green tree, where a look at the parts takes no memory.
    let first = node.green().children().next().and_then(rowan::NodeOrToken::into_token);
    if first.is_none_or(|token| token.text() != "options") {
        return false;
    }
    let Some(parent) = node.parent() else { return true };
    match parent.kind() {
        // `args.options.a`, but neither `{ options.a = …; }` nor `a.options`.
        SyntaxKind::NODE_ATTRPATH => {
            let base = match parent.parent().and_then(Expr::cast) {
                Some(Expr::Select(select)) => select.expr(),
                Some(Expr::HasAttr(asked)) => asked.expr(),
                _ => None,
            };
            parent.first_child().as_ref() == Some(node)
                && base.is_some_and(|base| scope.may_be_arguments(&base))
        }
        SyntaxKind::NODE_PAT_ENTRY | SyntaxKind::NODE_PAT_BIND | SyntaxKind::NODE_IDENT_PARAM => false,
        SyntaxKind::NODE_INHERIT => match ast::Inherit::cast(parent).and_then(|inherit| inherit.from()) {
            Some(from) => from.expr().is_some_and(|from| scope.may_be_arguments(&from)),
            None => scope.is_given(node, "options"),
        },
        _ => scope.is_given(node, "options"),
    }
}

impl Uses {
    /// Notes the name of a binding whose value may be a part of a module argument.
    fn alias(&mut self, binding: &SyntaxNode) {
        let is_local = binding.parent().is_some_and(|set| match set.kind() {
            SyntaxKind::NODE_LET_IN | SyntaxKind::NODE_LEGACY_LET => true,
            _ => is_recursive(&set),
        });
        if !is_local {
            return;
        }
        let mut children = binding.children();
        let (Some(path), Some(value)) = (children.next(), children.next()) else { return };
        if leftmost(&value).is_some() {
            self.aliases.extend(path.first_token().map(|name| name.text().to_owned()));
        }
    }

    fn string(&mut self, string: &SyntaxNode) {
        // By the green tree, where a look at the parts takes no memory.
        let may_use = |part: rowan::NodeOrToken<_, &rowan::GreenTokenData>| {
            part.into_token().is_some_and(|token| token.text().contains(PREFIX))
        };
        if !string.green().children().any(may_use) {
            return;
        }
        for token in string.children_with_tokens().filter_map(rowan::NodeOrToken::into_token) {
            if token.kind() == TOKEN_STRING_CONTENT && token.text().contains(PREFIX) {
                self.variables(token.text(), token.text_range().start());
            }
        }
    }

    /// `$CODCHI_NAME` and `${CODCHI_NAME…}`; the latter is written `''${…}` or `\${…}`, so the backslash or the quotes are
    /// before the dollar.
    fn variables(&mut self, text: &str, start: TextSize) {
        for (at, _) in text.match_indices(PREFIX) {
            let before = &text[..at];
            let name = &text[at + PREFIX.len()..];
            let len = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
            let braced = before.trim_end_matches(['#', '!']).strip_suffix('{');
            let before = braced.unwrap_or(before);
            // An even number of `$` in a row is the shell's process id and plain text.
            let dollars = before.chars().rev().take_while(|&c| c == '$').count();
            let (Some(name), true) = (name.get(..len), dollars % 2 == 1) else { continue };
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                continue;
            }
            let (Ok(offset), Ok(len)) = (TextSize::try_from(at + PREFIX.len()), TextSize::try_from(len))
            else {
                continue;
            };
            let range = TextRange::at(start + offset, len);
            let after = &text[usize::from(offset + len)..];
            let guarded = braced.is_some() && after.trim_start_matches(':').starts_with(['-', '+', '=']);
            let kind = SecretUseKind::Variable;
            self.secrets.push(SecretUse { name: name.to_owned(), range, kind, guarded });
        }
    }

    fn select(&mut self, scope: &Scope, node: &SyntaxNode, in_with: bool) {
        let Some(select) = ast::Select::cast(node.clone()) else { return };
        let expr = Expr::Select(select.clone());
        if let Some(Argument { argument, path, ranges }) = scope.argument_of(&expr, &["pkgs", "config"]) {
            if argument == "pkgs" {
                self.package(path, &ranges);
            } else {
                self.config(&path, &ranges, select.or_token().is_some());
            }
        } else if in_with
            && let Some(Expr::Ident(base)) = select.expr()
            && let Some(name) = ident_text(&base)
            && scope.is_from_with(&base, &name, "pkgs")
            && let Some(attrs) = select.attrpath()
        {
            let mut path = vec![name];
            path.extend(attrs.attrs().map_while(|attr| attr_name(&attr)));
            let range = select.syntax().text_range();
            self.packages.push(PackageUse { path, range });
        }
    }

    fn ident(&mut self, scope: &Scope, node: &SyntaxNode) {
        let is_name = node.parent().is_none_or(|parent| {
            matches!(
                parent.kind(),
                SyntaxKind::NODE_ATTRPATH
                    | SyntaxKind::NODE_INHERIT
                    | SyntaxKind::NODE_SELECT
                    | SyntaxKind::NODE_PAT_ENTRY
                    | SyntaxKind::NODE_PAT_BIND
                    | SyntaxKind::NODE_IDENT_PARAM
                    | SyntaxKind::NODE_WITH
            )
        });
        // Functions and conditions come from elsewhere as often as not; packages stand in lists.
        let in_list = node.parent().is_some_and(|parent| parent.kind() == SyntaxKind::NODE_LIST);
        let Some(ident) = ast::Ident::cast(node.clone()).filter(|_| !is_name && in_list) else { return };
        let Some(name) = ident_text(&ident) else { return };
        if scope.is_from_with(&ident, &name, "pkgs") {
            self.packages.push(PackageUse { path: vec![name], range: node.text_range() });
        }
    }

    fn inherit(&mut self, scope: &Scope, node: &SyntaxNode) {
        let Some(inherit) = ast::Inherit::cast(node.clone()) else { return };
        let Some(from) = inherit.from().and_then(|from| from.expr()) else { return };
        let packages = scope.argument_path(&from, "pkgs").map(|(path, _)| path);
        let config = scope.argument_path(&from, "config").map(|(path, _)| path);
        let base = leftmost(from.syntax()).unwrap_or_default();
        let input = self.input_path(scope, &from, &base, true);
        for attr in inherit.attrs() {
            let Some(name) = attr_name(&attr) else { continue };
            if packages.is_some() || config.is_some() || input.is_some() {
                self.aliases.insert(name.clone());
            }
            let range = attr.syntax().text_range();
            let below = |path: &Vec<String>| path.iter().cloned().chain([name.clone()]).collect::<Vec<_>>();
            if let Some(path) = &packages {
                self.packages.push(PackageUse { path: below(path), range });
            } else if let Some(path) = &config {
                self.config(&below(path), &[range], false);
            } else if let Some(path) = &input {
                self.inputs.insert(below(path));
            }
        }
    }

    /// What a selection reads of an input, the input's name first.
    fn input(&self, scope: &Scope, node: &SyntaxNode, base: &str, is_alias: bool) -> Option<Vec<String>> {
        let expr = ast::Select::cast(node.clone()).map(Expr::Select)?;
        self.input_path(scope, &expr, base, is_alias).filter(|path| !path.is_empty())
    }

    /// The same of any expression; empty where it is all inputs.
    fn input_path(&self, scope: &Scope, expr: &Expr, base: &str, is_alias: bool) -> Option<Vec<String>> {
        if (base == "inputs" || is_alias)
            && let Some((path, _)) = scope.argument_path(expr, "inputs")
        {
            return Some(path);
        }
        let below = |name: &String| {
            let (path, _) = scope.argument_path(expr, name)?;
            Some([vec![name.clone()], path].concat())
        };
        match self.input_names.get(base) {
            Some(name) => below(name),
            None if is_alias => self.input_names.iter().find_map(below),
            None => None,
        }
    }

    fn package(&mut self, path: Vec<String>, ranges: &[TextRange]) {
        if let (Some(first), Some(last), false) = (ranges.first(), ranges.last(), path.is_empty()) {
            self.packages.push(PackageUse { path, range: first.cover(*last) });
        }
    }

    /// `config.codchi.secrets ? NAME`.
    fn has_attr(&mut self, scope: &Scope, node: &SyntaxNode) {
        let Some(asked) = ast::HasAttr::cast(node.clone()) else { return };
        let base = asked.expr().and_then(|base| scope.argument_path(&base, "config"));
        let (Some((mut path, mut ranges)), Some(attrs)) = (base, asked.attrpath()) else { return };
        for attr in attrs.attrs() {
            let Some(name) = attr_name(&attr) else { break };
            path.push(name);
            ranges.push(attr.syntax().text_range());
        }
        self.config(&path, &ranges, true);
    }

    /// `config.PATH`, where `ranges` are those of its last names.
    fn config(&mut self, path: &[String], ranges: &[TextRange], guarded: bool) {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let ["codchi", "secrets", rest @ ..] = names.as_slice() else {
            match names.as_slice() {
                ["codchi"] => self.all_secrets = true,
                ["codchi", ..] | [] => {}
                _ => {
                    self.config.insert(path.to_vec());
                }
            }
            return;
        };
        let (name, spelling, at) = match rest {
            ["env" | "file"] | [] => {
                self.all_secrets = true;
                return;
            }
            ["env", name, ..] => (name, SecretSpelling::Env, 3),
            ["file", name, ..] => (name, SecretSpelling::File, 3),
            [name, ..] => (name, SecretSpelling::Plain, 2),
        };
        // Where the name is written elsewhere, it is found there.
        let Some(index) = (at + ranges.len()).checked_sub(path.len()) else { return };
        let Some(&range) = ranges.get(index) else { return };
        let kind = SecretUseKind::Config(spelling);
        self.secrets.push(SecretUse { name: (*name).to_owned(), range, kind, guarded });
    }
}
