//! What a file uses: user secrets, packages, other options and a flake's inputs, wherever they are named; and, as that is the same walk, what it binds twice.

use super::duplicates::Shape;
use super::pieces::{Keeper, Piece};
use super::ranges::{Ranged, behind};
use super::{Duplicate, PackageUse, SecretSpelling, SecretUse, SecretUseKind};
use crate::scope::{Argument, Scope, attr_name, ident_text};
use crate::{TextRange, TextSize};
use rnix::SyntaxKind::{self, TOKEN_STRING_CONTENT};
use rnix::SyntaxNode;
use rnix::ast::{self, Expr};
use rowan::WalkEvent;
use rowan::ast::AstNode as _;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// What the environment variables of secrets begin with.
const PREFIX: &str = "CODCHI_";

/// What is used, and what is bound twice.
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
    /// Where these are the uses in a definition: what that binds.
    shape: Option<Arc<Shape>>,
}

impl Ranged for Uses {
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange)) {
        self.secrets.change_ranges(change);
        self.packages.change_ranges(change);
        self.duplicates.change_ranges(change);
        if let Some(shape) = self.shape.as_mut().and_then(Arc::get_mut) {
            shape.change_ranges(change);
        }
    }
}

pub(super) type Pieces = super::pieces::Pieces<Uses, ()>;
pub(super) type UsesKeeper<'a> = Keeper<'a, Uses, ()>;

/// All uses below `root`, in one walk, in order of the text; and what is kept of them. `inputs` are the names that are inputs,
/// in a flake.
pub(super) fn uses(
    scope: &Scope,
    root: &SyntaxNode,
    inputs: &HashSet<String>,
    keeper: UsesKeeper<'_>,
) -> (Uses, Pieces) {
    let mut finder = Finder { scope, inputs, keeper, uses: Uses::default(), withs: 0 };
    finder.below(root);
    let Finder { mut uses, keeper, .. } = finder;
    uses.secrets.sort_by_key(|secret| secret.range.start());
    // `(config.a or b).c` is a selection in another.
    uses.secrets.dedup_by(|again, first| {
        let same = again.range == first.range;
        first.guarded |= same && again.guarded;
        same
    });
    uses.packages.sort_by_key(|package| package.range.start());
    uses.duplicates.sort_by_key(|duplicate| duplicate.second.start());
    (uses, keeper.finish())
}

/// Looks for uses.
struct Finder<'a> {
    scope: &'a Scope,
    /// Names that are inputs in this file.
    inputs: &'a HashSet<String>,
    keeper: UsesKeeper<'a>,
    uses: Uses,
    /// How many `with` that may bring packages are around.
    withs: u32,
}

impl Finder<'_> {
    /// Adds what is used below a node that is not looked at itself by `keeper`.
    fn below(&mut self, root: &SyntaxNode) {
        let mut walk = root.preorder();
        while let Some(event) = walk.next() {
            match event {
                WalkEvent::Enter(node) => {
                    if node.kind() == SyntaxKind::NODE_ATTRPATH_VALUE
                        && node != *root
                        && let Some(piece) = self.piece(&node)
                    {
                        self.uses.add(&piece.facts, node.text_range().start());
                        walk.skip_subtree();
                    } else {
                        self.at(&node);
                    }
                }
                WalkEvent::Leave(node) => {
                    if node.kind() == SyntaxKind::NODE_WITH {
                        self.withs -= 1;
                    }
                }
            }
        }
    }

    /// What is used in a definition, if that is kept.
    fn piece(&mut self, definition: &SyntaxNode) -> Option<Arc<Piece<Uses>>> {
        match self.keeper.begin(self.scope, definition, ())? {
            Ok(piece) => Some(piece),
            Err(begun) => {
                let around = std::mem::take(&mut self.uses);
                self.below(definition);
                let mut uses = std::mem::replace(&mut self.uses, around);
                let shape = ast::AttrpathValue::cast(definition.clone()).as_ref().and_then(Shape::of);
                uses.shape = shape.map(Arc::new);
                self.keeper.keep(self.scope, begun, uses).ok()
            }
        }
    }

    fn at(&mut self, node: &SyntaxNode) {
        match node.kind() {
            SyntaxKind::NODE_WITH => self.withs += 1,
            SyntaxKind::NODE_STRING => self.uses.string(node),
            SyntaxKind::NODE_SELECT => self.selection(node),
            SyntaxKind::NODE_HAS_ATTR => self.has_attr(node),
            SyntaxKind::NODE_IDENT => {
                self.uses.options = self.uses.options || is_options(self.scope, node);
                if self.withs > 0 {
                    self.ident(node);
                }
            }
            SyntaxKind::NODE_INHERIT => self.inherit(node),
            SyntaxKind::NODE_ATTR_SET
            | SyntaxKind::NODE_LET_IN
            | SyntaxKind::NODE_LEGACY_LET
            | SyntaxKind::NODE_PATTERN => {
                let mut found = std::mem::take(&mut self.uses.duplicates);
                let mut known = |node: &SyntaxNode| self.piece(node)?.facts.shape.clone();
                super::duplicates::at(node, &mut found, &mut known);
                self.uses.duplicates = found;
            }
            _ => {}
        }
    }
}

/// The name that a selection, or an expression in parentheses, begins with.
fn leftmost(node: &SyntaxNode) -> Option<SyntaxNode> {
    let mut node = node.clone();
    loop {
        node = match node.kind() {
            SyntaxKind::NODE_IDENT => return Some(node),
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

impl Finder<'_> {
    fn selection(&mut self, node: &SyntaxNode) {
        let Some(base) = leftmost(node) else { return };
        let Some(name) = base.first_token() else { return };
        let is_alias = self.scope.may_stand_for_argument(&base, name.text());
        if let Some(path) = self.input(node, name.text(), is_alias) {
            self.uses.inputs.insert(path);
        } else if matches!(name.text(), "pkgs" | "config") || is_alias || self.withs > 0 {
            self.select(node);
        }
    }

    fn select(&mut self, node: &SyntaxNode) {
        let Some(select) = ast::Select::cast(node.clone()) else { return };
        let expr = Expr::Select(select.clone());
        if let Some(Argument { argument, path, ranges }) = self.scope.argument_of(&expr, &["pkgs", "config"])
        {
            if argument == "pkgs" {
                self.uses.package(path, &ranges);
            } else {
                self.uses.config(&path, &ranges, select.or_token().is_some());
            }
        } else if self.withs > 0
            && let Some(Expr::Ident(base)) = select.expr()
            && let Some(name) = ident_text(&base)
            && self.scope.is_from_with(&base, &name, "pkgs")
            && let Some(attrs) = select.attrpath()
        {
            let mut path = vec![name];
            path.extend(attrs.attrs().map_while(|attr| attr_name(&attr)));
            let range = select.syntax().text_range();
            self.uses.packages.push(PackageUse { path, range });
        }
    }

    fn ident(&mut self, node: &SyntaxNode) {
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
        if self.scope.is_from_with(&ident, &name, "pkgs") {
            self.uses.packages.push(PackageUse { path: vec![name], range: node.text_range() });
        }
    }

    fn inherit(&mut self, node: &SyntaxNode) {
        let Some(inherit) = ast::Inherit::cast(node.clone()) else { return };
        let Some(from) = inherit.from().and_then(|from| from.expr()) else { return };
        let packages = self.scope.argument_path(&from, "pkgs").map(|(path, _)| path);
        let config = self.scope.argument_path(&from, "config").map(|(path, _)| path);
        let base = leftmost(from.syntax()).and_then(|base| base.first_token());
        let input = self.input_path(&from, base.as_ref().map_or("", |base| base.text()), true);
        for attr in inherit.attrs() {
            let Some(name) = attr_name(&attr) else { continue };
            let range = attr.syntax().text_range();
            let below = |path: &Vec<String>| path.iter().cloned().chain([name.clone()]).collect::<Vec<_>>();
            if let Some(path) = &packages {
                self.uses.packages.push(PackageUse { path: below(path), range });
            } else if let Some(path) = &config {
                self.uses.config(&below(path), &[range], false);
            } else if let Some(path) = &input {
                self.uses.inputs.insert(below(path));
            }
        }
    }

    /// What a selection reads of an input, the input's name first.
    fn input(&self, node: &SyntaxNode, base: &str, is_alias: bool) -> Option<Vec<String>> {
        let expr = ast::Select::cast(node.clone()).map(Expr::Select)?;
        self.input_path(&expr, base, is_alias).filter(|path| !path.is_empty())
    }

    /// The same of any expression; empty where it is all inputs.
    fn input_path(&self, expr: &Expr, base: &str, is_alias: bool) -> Option<Vec<String>> {
        if (base == "inputs" || is_alias)
            && let Some((path, _)) = self.scope.argument_path(expr, "inputs")
        {
            return Some(path);
        }
        let below = |name: &String| {
            let (path, _) = self.scope.argument_path(expr, name)?;
            Some([vec![name.clone()], path].concat())
        };
        match self.inputs.get(base) {
            Some(name) => below(name),
            None if is_alias => self.inputs.iter().find_map(below),
            None => None,
        }
    }

    /// `config.codchi.secrets ? NAME`.
    fn has_attr(&mut self, node: &SyntaxNode) {
        let Some(asked) = ast::HasAttr::cast(node.clone()) else { return };
        let base = asked.expr().and_then(|base| self.scope.argument_path(&base, "config"));
        let (Some((mut path, mut ranges)), Some(attrs)) = (base, asked.attrpath()) else { return };
        for attr in attrs.attrs() {
            let Some(name) = attr_name(&attr) else { break };
            path.push(name);
            ranges.push(attr.syntax().text_range());
        }
        self.uses.config(&path, &ranges, true);
    }
}

impl Uses {
    /// Adds those of a definition that begins at `start`.
    fn add(&mut self, piece: &Self, start: TextSize) {
        self.secrets.extend(piece.secrets.iter().map(|secret| behind(secret, start)));
        self.all_secrets |= piece.all_secrets;
        self.packages.extend(piece.packages.iter().map(|package| behind(package, start)));
        for (all, of_piece) in [(&mut self.config, &piece.config), (&mut self.inputs, &piece.inputs)] {
            for path in of_piece {
                if !all.contains(path) {
                    all.insert(path.clone());
                }
            }
        }
        self.duplicates.extend(piece.duplicates.iter().map(|duplicate| behind(duplicate, start)));
        self.options |= piece.options;
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

    fn package(&mut self, path: Vec<String>, ranges: &[TextRange]) {
        if let (Some(first), Some(last), false) = (ranges.first(), ranges.last(), path.is_empty()) {
            self.packages.push(PackageUse { path, range: first.cover(*last) });
        }
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
