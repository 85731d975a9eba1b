//! What each name of the text is bound to, in one walk that keeps the scopes around it.
//!
//! A scope's names are looked at when it is entered, so that no name costs more than a look into each scope around it.

use super::builtins::{Inside, builtin, is_global_function};
use super::{SemanticToken, TokenKind, TokenModifiers, touches};
use crate::TextRange;
use codchi_module::PackageUse;
use rnix::ast::{self, Attr, Expr, HasEntry as _};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::WalkEvent;
use rowan::ast::AstNode as _;
use std::collections::HashMap;

/// What a name of the text stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Parameter,
    Variable,
    Function,
    /// A part of something that a module is given.
    Part(Origin),
}

/// What a path of names begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The options' values.
    Config,
    /// Packages.
    Packages,
    /// nixpkgs' `lib`, or a part of it.
    Lib(Inside),
    /// Nix's own functions.
    Builtins,
}

impl Origin {
    /// What is usually called so.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "config" => Self::Config,
            "pkgs" => Self::Packages,
            "lib" => Self::Lib(Inside::Functions),
            "builtins" => Self::Builtins,
            _ => return None,
        })
    }

    /// What a name below it is, and what a path that goes on from there begins with.
    fn member(self, name: &str) -> (Option<TokenKind>, TokenModifiers, Option<Self>) {
        match self {
            Self::Config => (Some(TokenKind::Property), TokenModifiers::READONLY, Some(self)),
            // Which of the names is the package is the facts' word; `pkgs.lib` is no package.
            Self::Packages if name == "lib" => {
                let lib = Self::Lib(Inside::Functions);
                (Some(TokenKind::Namespace), TokenModifiers::DEFAULT_LIBRARY, Some(lib))
            }
            Self::Packages => (Some(TokenKind::Class), TokenModifiers::NONE, Some(self)),
            Self::Lib(inside) => {
                let (kind, inside) = inside.member(name);
                (Some(kind), TokenModifiers::DEFAULT_LIBRARY, Some(Self::Lib(inside)))
            }
            Self::Builtins => (Some(builtin(name)), TokenModifiers::DEFAULT_LIBRARY, None),
        }
    }
}

/// The walk.
pub(super) struct Names<'a> {
    tokens: &'a mut Vec<SemanticToken>,
    /// In order of the text.
    packages: &'a [PackageUse],
    within: TextRange,
    scopes: Vec<(SyntaxNode, HashMap<String, Meaning>)>,
    /// How many `with lib;` are around.
    with_lib: usize,
}

impl<'a> Names<'a> {
    pub(super) fn new(
        tokens: &'a mut Vec<SemanticToken>,
        packages: &'a [PackageUse],
        within: TextRange,
    ) -> Self {
        Self { tokens, packages, within, scopes: Vec::new(), with_lib: 0 }
    }

    pub(super) fn walk(mut self, root: &rnix::Root) {
        let mut nodes = root.syntax().preorder();
        while let Some(event) = nodes.next() {
            match event {
                WalkEvent::Enter(node) if touches(self.within, node.text_range()) => self.enter(&node),
                WalkEvent::Enter(_) => nodes.skip_subtree(),
                WalkEvent::Leave(node) => self.leave(&node),
            }
        }
    }

    fn enter(&mut self, node: &SyntaxNode) {
        match node.kind() {
            SyntaxKind::NODE_LET_IN => {
                let entries = ast::LetIn::cast(node.clone()).into_iter().flat_map(|it| it.entries());
                self.bind(node, entries, true);
            }
            SyntaxKind::NODE_LEGACY_LET => {
                let entries = ast::LegacyLet::cast(node.clone()).into_iter().flat_map(|it| it.entries());
                self.bind(node, entries, true);
            }
            SyntaxKind::NODE_ATTR_SET => {
                let first = node.first_child_or_token();
                if first.is_some_and(|first| first.kind() == SyntaxKind::TOKEN_REC) {
                    let entries = ast::AttrSet::cast(node.clone()).into_iter().flat_map(|it| it.entries());
                    self.bind(node, entries, false);
                }
            }
            SyntaxKind::NODE_LAMBDA => self.lambda(node),
            SyntaxKind::NODE_WITH => self.with_lib += usize::from(self.is_with_lib(node)),
            SyntaxKind::NODE_SELECT => self.select(node),
            SyntaxKind::NODE_INHERIT => self.inherit(node),
            SyntaxKind::NODE_IDENT => self.ident(node),
            SyntaxKind::NODE_PATH_ABS
            | SyntaxKind::NODE_PATH_HOME
            | SyntaxKind::NODE_PATH_REL
            | SyntaxKind::NODE_PATH_SEARCH => self.path(node),
            _ => {}
        }
    }

    fn leave(&mut self, node: &SyntaxNode) {
        if self.scopes.last().is_some_and(|(scope, _)| scope == node) {
            self.scopes.pop();
        } else if node.kind() == SyntaxKind::NODE_WITH && touches(self.within, node.text_range()) {
            self.with_lib -= usize::from(self.is_with_lib(node));
        }
    }

    fn push(&mut self, range: TextRange, kind: TokenKind, modifiers: TokenModifiers) {
        if touches(self.within, range) {
            self.tokens.push(SemanticToken { range, kind, modifiers });
        }
    }

    fn push_meaning(&mut self, range: TextRange, meaning: Meaning, modifiers: TokenModifiers) {
        let kind = match meaning {
            Meaning::Parameter => TokenKind::Parameter,
            Meaning::Variable | Meaning::Part(_) => TokenKind::Variable,
            Meaning::Function => TokenKind::Function,
        };
        self.push(range, kind, modifiers);
    }

    /// Enters the scope of a `let` or a recursive set.
    fn bind(&mut self, node: &SyntaxNode, entries: impl Iterator<Item = ast::Entry>, is_let: bool) {
        let mut names: HashMap<String, Meaning> = HashMap::new();
        let mut declared: Vec<(TextRange, Meaning)> = Vec::new();
        for entry in entries {
            match entry {
                ast::Entry::AttrpathValue(binding) => {
                    let mut attrs = binding.attrpath().into_iter().flat_map(|path| path.attrs());
                    let Some((first, name)) =
                        attrs.next().and_then(|attr| Some((attr.clone(), name(&attr)?)))
                    else {
                        continue;
                    };
                    let meaning = match binding.value() {
                        Some(value) if attrs.next().is_none() => self.meaning(&value),
                        _ => Meaning::Variable,
                    };
                    declared.push((first.syntax().text_range(), meaning));
                    names.insert(name, meaning);
                }
                ast::Entry::Inherit(inherit) => {
                    let from = inherit.from().and_then(|from| from.expr());
                    let origin = from.as_ref().and_then(|from| self.origin(from));
                    for attr in inherit.attrs() {
                        let Some(name) = name(&attr) else { continue };
                        let meaning = match (&from, origin) {
                            (None, _) => self.lookup(&name).unwrap_or(Meaning::Variable),
                            (Some(_), Some(origin)) => inherited(origin, &name),
                            (Some(_), None) => Meaning::Variable,
                        };
                        names.insert(name, meaning);
                    }
                }
            }
        }
        if is_let {
            for (range, meaning) in declared {
                self.push_meaning(range, meaning, TokenModifiers::DECLARATION);
            }
        }
        self.scopes.push((node.clone(), names));
    }

    /// Enters the scope of a function.
    fn lambda(&mut self, node: &SyntaxNode) {
        let param = ast::Lambda::cast(node.clone()).and_then(|lambda| lambda.param());
        let idents: Vec<ast::Ident> = match param {
            Some(ast::Param::IdentParam(param)) => param.ident().into_iter().collect(),
            Some(ast::Param::Pattern(pattern)) => {
                let bound = pattern.pat_bind().and_then(|bind| bind.ident());
                pattern.pat_entries().filter_map(|entry| entry.ident()).chain(bound).collect()
            }
            None => Vec::new(),
        };
        let mut names = HashMap::new();
        for ident in idents {
            let Some(token) = ident.ident_token() else { continue };
            self.push(token.text_range(), TokenKind::Parameter, TokenModifiers::DECLARATION);
            names.insert(token.text().to_owned(), Meaning::Parameter);
        }
        self.scopes.push((node.clone(), names));
    }

    /// What a name that gets this value stands for.
    fn meaning(&self, value: &Expr) -> Meaning {
        match value {
            Expr::Lambda(_) => Meaning::Function,
            Expr::Paren(paren) => paren.expr().map_or(Meaning::Variable, |inner| self.meaning(&inner)),
            Expr::Ident(_) | Expr::Select(_) => match self.origin(value) {
                Some(origin) => Meaning::Part(origin),
                None => Meaning::Variable,
            },
            _ => Meaning::Variable,
        }
    }

    /// What a name means here; `None` where nothing in the text binds it.
    fn lookup(&self, name: &str) -> Option<Meaning> {
        self.scopes.iter().rev().find_map(|(_, names)| names.get(name)).copied()
    }

    /// What an expression is a part of.
    fn origin(&self, expr: &Expr) -> Option<Origin> {
        match expr {
            Expr::Paren(paren) => self.origin(&paren.expr()?),
            Expr::Ident(ident) => {
                let token = ident.ident_token()?;
                match self.lookup(token.text()) {
                    Some(Meaning::Part(origin)) => Some(origin),
                    Some(Meaning::Parameter) | None => Origin::named(token.text()),
                    Some(_) => None,
                }
            }
            Expr::Select(select) => {
                let mut attrs = select.attrpath()?.attrs();
                match self.origin(&select.expr()?) {
                    Some(origin) => attrs.try_fold(origin, |origin, attr| origin.member(&name(&attr)?).2),
                    // `nixpkgs.lib`, `inputs.nixpkgs.lib`.
                    None => {
                        let last = attrs.last().as_ref().and_then(name)?;
                        (last == "lib").then_some(Origin::Lib(Inside::Functions))
                    }
                }
            }
            _ => None,
        }
    }

    fn is_with_lib(&self, node: &SyntaxNode) -> bool {
        let namespace = ast::With::cast(node.clone()).and_then(|with| with.namespace());
        namespace.is_some_and(|namespace| matches!(self.origin(&namespace), Some(Origin::Lib(_))))
    }

    fn select(&mut self, node: &SyntaxNode) {
        let Some(select) = ast::Select::cast(node.clone()) else { return };
        let (Some(base), Some(path)) = (select.expr(), select.attrpath()) else { return };
        let mut origin = self.origin(&base);
        let is_known = origin.is_some();
        let of_package = !is_known && self.is_package(node.text_range());
        let mut last = None;
        for attr in path.attrs() {
            last = Some(attr.syntax().text_range());
            if of_package {
                self.push(attr.syntax().text_range(), TokenKind::Class, TokenModifiers::NONE);
            }
            let (Some(from), Some(name)) = (origin, name(&attr)) else {
                origin = None;
                continue;
            };
            let (kind, modifiers, next) = from.member(&name);
            if let Some(kind) = kind {
                self.push(attr.syntax().text_range(), kind, modifiers);
            }
            origin = next;
        }
        if let (false, Some(last), true) = (is_known, last, is_called(node)) {
            self.push(last, TokenKind::Function, TokenModifiers::NONE);
        }
    }

    fn inherit(&mut self, node: &SyntaxNode) {
        let Some(inherit) = ast::Inherit::cast(node.clone()) else { return };
        let from = inherit.from().map(|from| from.expr().and_then(|from| self.origin(&from)));
        let in_let = node
            .parent()
            .is_some_and(|it| matches!(it.kind(), SyntaxKind::NODE_LET_IN | SyntaxKind::NODE_LEGACY_LET));
        let declaration = if in_let { TokenModifiers::DECLARATION } else { TokenModifiers::NONE };
        for attr in inherit.attrs() {
            let Some(name) = name(&attr) else { continue };
            let range = attr.syntax().text_range();
            match from {
                Some(Some(origin)) => {
                    let (kind, modifiers, _) = origin.member(&name);
                    self.push(range, kind.unwrap_or(TokenKind::Variable), modifiers | declaration);
                }
                Some(None) if in_let => self.push(range, TokenKind::Variable, declaration),
                Some(None) => {}
                None => {
                    if let Some(meaning) = self.lookup(&name) {
                        self.push_meaning(range, meaning, declaration);
                    }
                }
            }
        }
    }

    /// A name in an expression: what it is bound to, else what Nix, `with lib;` or `with pkgs;` bring.
    fn ident(&mut self, node: &SyntaxNode) {
        let is_bound_here = node.parent().is_some_and(|parent| match parent.kind() {
            SyntaxKind::NODE_ATTRPATH
            | SyntaxKind::NODE_INHERIT
            | SyntaxKind::NODE_PAT_BIND
            | SyntaxKind::NODE_IDENT_PARAM => true,
            // What comes after is the default.
            SyntaxKind::NODE_PAT_ENTRY => node.prev_sibling().is_none(),
            _ => false,
        });
        let Some(token) = node.first_token().filter(|_| !is_bound_here) else { return };
        let (range, name) = (token.text_range(), token.text());
        match self.lookup(name) {
            Some(Meaning::Variable) if is_called(node) => {
                self.push_meaning(range, Meaning::Function, TokenModifiers::NONE);
            }
            Some(Meaning::Part(Origin::Lib(Inside::Values))) => {
                self.push(range, TokenKind::Function, TokenModifiers::DEFAULT_LIBRARY);
            }
            Some(Meaning::Part(Origin::Lib(_))) => {
                self.push(range, TokenKind::Namespace, TokenModifiers::DEFAULT_LIBRARY);
            }
            Some(meaning) => self.push_meaning(range, meaning, TokenModifiers::NONE),
            None if name == "builtins" => {
                self.push(range, TokenKind::Namespace, TokenModifiers::DEFAULT_LIBRARY);
            }
            None if is_global_function(name) => {
                self.push(range, TokenKind::Function, TokenModifiers::DEFAULT_LIBRARY);
            }
            None if self.is_package(range) => self.push(range, TokenKind::Class, TokenModifiers::NONE),
            None if self.with_lib > 0 && is_called(node) => {
                self.push(range, TokenKind::Function, TokenModifiers::DEFAULT_LIBRARY);
            }
            None => {}
        }
    }

    fn is_package(&self, range: TextRange) -> bool {
        let at = self.packages.partition_point(|package| package.range.end() < range.end());
        self.packages.get(at).is_some_and(|package| package.range.contains_range(range))
    }

    /// A path as it is written; what is interpolated into it is walked by itself.
    fn path(&mut self, node: &SyntaxNode) {
        for token in node.children_with_tokens().filter_map(rowan::NodeOrToken::into_token) {
            self.push(token.text_range(), TokenKind::String, TokenModifiers::NONE);
        }
    }
}

/// What a name that is inherited from a part of `origin` stands for.
fn inherited(origin: Origin, name: &str) -> Meaning {
    match origin.member(name) {
        (Some(TokenKind::Namespace), _, Some(part)) => Meaning::Part(part),
        (Some(TokenKind::Function), _, Some(part)) => Meaning::Part(part),
        (Some(TokenKind::Function), _, None) => Meaning::Function,
        (_, _, Some(part @ Origin::Config)) => Meaning::Part(part),
        _ => Meaning::Variable,
    }
}

/// Whether an expression is what is called.
fn is_called(node: &SyntaxNode) -> bool {
    node.prev_sibling().is_none()
        && node.parent().is_some_and(|parent| parent.kind() == SyntaxKind::NODE_APPLY)
}

/// A name, where it is written out.
fn name(attr: &Attr) -> Option<String> {
    match attr {
        Attr::Ident(ident) => Some(ident.ident_token()?.text().to_owned()),
        Attr::Str(text) => crate::syntax::string(text),
        Attr::Dynamic(_) => None,
    }
}
