//! The walk over a module's definitions.

use super::pieces::Keeper;
use super::ranges::{Ranged, behind};
use super::secrets::{Event, Secrets};
use super::{Capability, Certainty, Facts, Literal, OptionUse};
use crate::literal::{literal, range};
use crate::scope::{Call, LibFunction, Scope, attr_name};
use crate::{OptionPath, TextRange, TextSize};
use rnix::ast::{self, BinOpKind, Expr, HasEntry as _};
use rowan::ast::AstNode as _;

/// How deep definitions are looked into. What is deeper counts as unknown.
pub(super) const MAX_DEPTH: u32 = 96;

/// What definitions say.
#[derive(Default)]
pub(super) struct Defined {
    options: Vec<OptionUse>,
    settings: Vec<OptionUse>,
    pub(super) capabilities: Vec<Capability>,
    secrets: Vec<Event>,
}

/// What that of a definition depends on besides the text: its path without the names that are written at it, of which so
/// many count; whether it takes effect; and how deep it is.
type Circumstances = (Vec<String>, usize, Certainty, u32);

pub(super) type Pieces = super::pieces::Pieces<Defined, Circumstances>;
pub(super) type DefinitionKeeper<'a> = Keeper<'a, Defined, Circumstances>;

/// What has been found so far.
pub(super) struct Walk<'a> {
    pub(super) scope: &'a Scope,
    /// All but what definitions say.
    pub(super) facts: Facts,
    /// What definitions say, as far as it is not in `facts` and `secrets` yet.
    pub(super) defined: Defined,
    secrets: Secrets,
    keeper: DefinitionKeeper<'a>,
    /// The path of the definition that is being looked at, without `config`.
    pub(super) path: Vec<String>,
}

/// Where a definition stands.
#[derive(Clone, Default)]
struct Place {
    /// The ranges of the last names of the path: those that are written at this definition.
    segments: Vec<TextRange>,
    /// The range of the value as it stands there, where the value itself was followed to another place.
    reference: Option<TextRange>,
}

impl Ranged for Defined {
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange)) {
        self.options.change_ranges(change);
        self.settings.change_ranges(change);
        self.capabilities.change_ranges(change);
        self.secrets.change_ranges(change);
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(scope: &'a Scope, keeper: DefinitionKeeper<'a>) -> Self {
        let (facts, defined, secrets) = (Facts::default(), Defined::default(), Secrets::default());
        Self { scope, facts, defined, secrets, keeper, path: Vec::new() }
    }

    /// The facts, in order of the text; and what is kept of them.
    pub(super) fn finish(mut self) -> (Facts, Pieces) {
        self.settle();
        let mut facts = self.facts;
        facts
            .options
            .retain(|option| !facts.declared.iter().any(|declared| option.path.0.starts_with(&declared.0)));
        facts
            .options
            .sort_by_key(|option| option.segments.first().copied().unwrap_or(option.value_range).start());
        facts
            .settings
            .sort_by_key(|option| option.segments.first().copied().unwrap_or(option.value_range).start());
        facts.capabilities.sort_by_key(|capability| capability.range.start());
        facts.imports.sort_by_key(|import| import.range.start());
        facts.secrets_unseen = self.secrets.hides_some();
        facts.secrets = self.secrets.finish();
        (facts, self.keeper.finish())
    }

    /// Takes what has been found of definitions so far.
    fn settle(&mut self) {
        let Defined { mut options, mut settings, mut capabilities, secrets } =
            std::mem::take(&mut self.defined);
        self.facts.options.append(&mut options);
        self.facts.settings.append(&mut settings);
        self.facts.capabilities.append(&mut capabilities);
        secrets.iter().for_each(|event| self.secrets.take(event, TextSize::default()));
    }

    /// Takes what a definition says that begins at `start`.
    fn take(&mut self, piece: &Defined, start: TextSize) {
        self.settle();
        self.facts.options.extend(piece.options.iter().map(|option| behind(option, start)));
        self.facts.settings.extend(piece.settings.iter().map(|option| behind(option, start)));
        self.facts.capabilities.extend(piece.capabilities.iter().map(|it| behind(it, start)));
        piece.secrets.iter().for_each(|event| self.secrets.take(event, start));
    }

    /// A module: a function, a set, or what these are made with.
    pub(super) fn module(&mut self, expr: &Expr, certainty: Certainty, depth: u32) {
        if depth >= MAX_DEPTH {
            self.unseen_module();
            return;
        }
        let depth = depth + 1;
        match expr {
            Expr::AttrSet(set) => self.module_set(set, certainty, depth),
            Expr::Lambda(lambda) => self.module_opt(lambda.body(), certainty, depth),
            Expr::Paren(paren) => self.module_opt(paren.expr(), certainty, depth),
            Expr::LetIn(let_in) => self.module_opt(let_in.body(), certainty, depth),
            Expr::With(with) => self.module_opt(with.body(), certainty, depth),
            Expr::Assert(assert) => self.module_opt(assert.body(), certainty, depth),
            Expr::IfElse(if_else) => {
                self.module_opt(if_else.body(), Certainty::Conditional, depth);
                self.module_opt(if_else.else_body(), Certainty::Conditional, depth);
            }
            Expr::BinOp(op) if op.operator() == Some(BinOpKind::Update) => {
                self.module_opt(op.lhs(), Certainty::Conditional, depth);
                self.module_opt(op.rhs(), certainty, depth);
            }
            Expr::Apply(apply) => match self.scope.call(apply) {
                Call::Lib(LibFunction::Optionals, arguments) if arguments.len() == 2 => {
                    self.module(&arguments[1], Certainty::Conditional, depth);
                }
                // What `mkIf` and the like stand around is the module's `config`.
                Call::Lib(..) => self.define(expr, &Place::default(), certainty, depth),
                Call::Import(_) | Call::Other(..) => self.unseen_module(),
            },
            Expr::Ident(_) | Expr::Select(_) => match self.scope.follow(expr) {
                Some(value) => self.module(&value, certainty, depth),
                None => self.unseen_module(),
            },
            _ => self.unseen_module(),
        }
    }

    /// A module, or a part of one, that only evaluation finds.
    pub(super) fn unseen_module(&mut self) {
        self.facts.may_declare_more = true;
        self.unseen();
    }

    /// Something is defined here that cannot be seen into.
    fn unseen(&mut self) {
        self.defined.secrets.extend(Event::unseen(&self.path));
    }

    fn module_opt(&mut self, expr: Option<Expr>, certainty: Certainty, depth: u32) {
        if let Some(expr) = expr {
            self.module(&expr, certainty, depth);
        }
    }

    fn module_set(&mut self, set: &ast::AttrSet, certainty: Certainty, depth: u32) {
        let bindings: Vec<_> = set
            .attrpath_values()
            .map(|binding| {
                let attrs: Vec<_> = binding.attrpath().into_iter().flat_map(|path| path.attrs()).collect();
                let first = attrs.first().and_then(attr_name);
                (binding, attrs, first)
            })
            .collect();
        let is_structure = |name: Option<&str>| matches!(name, Some("config" | "options"));
        // With one of these, everything else of the set is not a definition (and an error).
        let structured = bindings.iter().any(|(_, _, first)| is_structure(first.as_deref()))
            || set.inherits().flat_map(|it| it.attrs()).any(|attr| is_structure(attr_name(&attr).as_deref()));

        for (binding, attrs, first) in &bindings {
            match first.as_deref() {
                Some("imports") if attrs.len() == 1 => {
                    if let Some(list) = binding.value() {
                        self.imports(&list, certainty, depth);
                    }
                }
                Some("disabledModules") => {
                    if let Some(list) = binding.value() {
                        self.disabled(&list, depth);
                    }
                }
                Some("config") => self.define_at(binding, &attrs[1..], certainty, depth),
                Some("options") => self.declare_option(&attrs[1..], binding.value(), depth),
                _ if structured => {}
                _ => self.define_at(binding, attrs, certainty, depth),
            }
        }
        for inherit in set.inherits() {
            for attr in inherit.attrs() {
                match attr_name(&attr).as_deref() {
                    Some("imports") => match self.scope.inherited(&inherit, "imports") {
                        Some(list) => self.imports(&list, certainty, depth),
                        None => self.facts.may_declare_more = true,
                    },
                    Some("options") => {
                        let value = self.scope.inherited(&inherit, "options");
                        self.declare_option(&[], value, depth);
                    }
                    Some("config") => match self.scope.inherited(&inherit, "config") {
                        Some(config) => self.define(&config, &Place::default(), certainty, depth),
                        None => self.unseen(),
                    },
                    _ if structured => {}
                    _ => self.define_inherited(&inherit, &attr, certainty, depth),
                }
            }
        }
    }

    /// One `a.b.c = VALUE;` within the current definition.
    fn define_at(
        &mut self,
        binding: &ast::AttrpathValue,
        attrs: &[ast::Attr],
        certainty: Certainty,
        depth: u32,
    ) {
        let circumstances = (self.path.clone(), attrs.len(), certainty, depth);
        let start = binding.syntax().text_range().start();
        match self.keeper.begin(self.scope, binding.syntax(), circumstances) {
            Some(Ok(piece)) => self.take(&piece.facts, start),
            Some(Err(definition)) => {
                self.settle();
                self.define_here(binding, attrs, certainty, depth);
                let defined = std::mem::take(&mut self.defined);
                match self.keeper.keep(self.scope, definition, defined) {
                    Ok(piece) => self.take(&piece.facts, start),
                    Err(defined) => self.defined = defined,
                }
            }
            None => self.define_here(binding, attrs, certainty, depth),
        }
    }

    fn define_here(
        &mut self,
        binding: &ast::AttrpathValue,
        attrs: &[ast::Attr],
        certainty: Certainty,
        depth: u32,
    ) {
        let outer = self.path.len();
        if let Some(segments) = self.enter(binding, attrs, certainty) {
            let place = Place { segments, reference: None };
            self.define_opt(binding.value(), &place, certainty, depth);
        }
        self.path.truncate(outer);
    }

    /// Adds the names of a definition to the path; gives their ranges, or `None` where the definition does not matter or
    /// its path is not known.
    fn enter(
        &mut self,
        binding: &ast::AttrpathValue,
        attrs: &[ast::Attr],
        certainty: Certainty,
    ) -> Option<Vec<TextRange>> {
        let mut segments = Vec::with_capacity(attrs.len());
        for (i, attr) in attrs.iter().enumerate() {
            let Some(name) = attr_name(attr) else {
                self.unseen();
                return None;
            };
            if self.path.is_empty() && is_no_setting(&name) {
                return None;
            }
            let name_range = attr.syntax().text_range();
            self.path.push(name);
            segments.push(name_range);
            self.defined.secrets.extend(Event::name(&self.path, name_range, binding.syntax().text_range()));
            if i + 1 < attrs.len() {
                self.defined.secrets.extend(Event::declared(&self.path, certainty));
            }
        }
        Some(segments)
    }

    /// One name of an `inherit` within the current definition.
    fn define_inherited(
        &mut self,
        inherit: &ast::Inherit,
        attr: &ast::Attr,
        certainty: Certainty,
        depth: u32,
    ) {
        let Some(name) = attr_name(attr) else {
            self.unseen();
            return;
        };
        if self.path.is_empty() && is_no_setting(&name) {
            return;
        }
        let value = self.scope.inherited(inherit, &name);
        let name_range = attr.syntax().text_range();
        self.path.push(name);
        self.defined.secrets.extend(Event::name(&self.path, name_range, name_range));
        let place = Place { segments: vec![name_range], reference: Some(name_range) };
        match value {
            Some(value) => self.define(&value, &place, certainty, depth),
            None => self.define_as(Literal::Unknown, name_range, &place, certainty),
        }
        self.path.pop();
    }

    /// A definition's value at `place`.
    fn define(&mut self, expr: &Expr, place: &Place, certainty: Certainty, depth: u32) {
        if depth >= MAX_DEPTH {
            self.unseen();
            return;
        }
        let depth = depth + 1;
        match expr {
            Expr::AttrSet(set) => self.define_set(set, place, certainty, depth),
            Expr::Paren(paren) => self.define_opt(paren.expr(), place, certainty, depth),
            Expr::LetIn(let_in) => self.define_opt(let_in.body(), place, certainty, depth),
            Expr::With(with) => self.define_opt(with.body(), place, certainty, depth),
            Expr::Assert(assert) => self.define_opt(assert.body(), place, certainty, depth),
            Expr::IfElse(if_else) => {
                self.define_opt(if_else.body(), place, Certainty::Conditional, depth);
                self.define_opt(if_else.else_body(), place, Certainty::Conditional, depth);
            }
            Expr::BinOp(op) if op.operator() == Some(BinOpKind::Update) => {
                self.define_opt(op.lhs(), place, Certainty::Conditional, depth);
                self.define_opt(op.rhs(), place, certainty, depth);
            }
            Expr::Apply(apply) => self.define_call(expr, apply, place, certainty, depth),
            Expr::Ident(_) | Expr::Select(_) => match self.scope.follow(expr) {
                Some(value) if !matches!(value, Expr::Ident(_)) => {
                    let reference = place.reference.or(Some(range(expr)));
                    self.define(&value, &Place { reference, ..place.clone() }, certainty, depth);
                }
                _ => self.define_leaf(expr, place, certainty, depth),
            },
            _ => self.define_leaf(expr, place, certainty, depth),
        }
    }

    fn define_opt(&mut self, expr: Option<Expr>, place: &Place, certainty: Certainty, depth: u32) {
        match expr {
            Some(expr) => self.define(&expr, place, certainty, depth),
            None => self.unseen(),
        }
    }

    fn define_call(
        &mut self,
        expr: &Expr,
        apply: &ast::Apply,
        place: &Place,
        certainty: Certainty,
        depth: u32,
    ) {
        let Call::Lib(function, arguments) = self.scope.call(apply) else {
            self.define_leaf(expr, place, certainty, depth);
            return;
        };
        match (function, arguments.as_slice()) {
            (LibFunction::MkIf, [_, value]) => self.define(value, place, Certainty::Conditional, depth),
            (LibFunction::Optionals, [_, value @ Expr::AttrSet(_)]) => {
                self.define(value, place, Certainty::Conditional, depth);
            }
            (LibFunction::Overridable, [value]) => self.define(value, place, Certainty::Conditional, depth),
            (LibFunction::Forced, [value]) | (LibFunction::MkOrder, [_, value]) => {
                self.define(value, place, certainty, depth);
            }
            (LibFunction::MkOverride, [priority, value]) => {
                // 100 is the priority of a plain definition; a higher number is weaker.
                let strong =
                    matches!(literal(self.scope, priority), Literal::Int(priority) if priority <= 100);
                let certainty = if strong { certainty } else { Certainty::Conditional };
                self.define(value, place, certainty, depth);
            }
            (LibFunction::MkMerge, [list]) => self.define_merged(list, place, certainty, depth),
            _ => self.define_leaf(expr, place, certainty, depth),
        }
    }

    /// The elements of `mkMerge`'s list.
    fn define_merged(&mut self, list: &Expr, place: &Place, certainty: Certainty, depth: u32) {
        let mut elements = Vec::new();
        if !self.list_elements(list, certainty, depth, &mut |_, element, certainty| {
            elements.push((element.clone(), certainty));
        }) {
            self.unseen();
        }
        for (element, certainty) in elements {
            self.define(&element, place, certainty, depth);
        }
    }

    fn define_set(&mut self, set: &ast::AttrSet, place: &Place, certainty: Certainty, depth: u32) {
        if !self.path.is_empty() {
            self.define_as(Literal::Set, set.syntax().text_range(), place, certainty);
        }
        for entry in set.entries() {
            match entry {
                ast::Entry::AttrpathValue(binding) => {
                    let attrs: Vec<_> =
                        binding.attrpath().into_iter().flat_map(|path| path.attrs()).collect();
                    self.define_at(&binding, &attrs, certainty, depth);
                }
                ast::Entry::Inherit(inherit) => {
                    for attr in inherit.attrs() {
                        self.define_inherited(&inherit, &attr, certainty, depth);
                    }
                }
            }
        }
    }

    /// A value that is no set.
    fn define_leaf(&mut self, expr: &Expr, place: &Place, certainty: Certainty, depth: u32) {
        let value = literal(self.scope, expr);
        self.define_as(value, range(expr), place, certainty);
        self.capabilities(expr, certainty, depth);
    }

    fn define_as(&mut self, value: Literal, value_range: TextRange, place: &Place, certainty: Certainty) {
        let value_range = place.reference.unwrap_or(value_range);
        if value != Literal::Set {
            self.unseen();
        }
        self.defined.secrets.extend(Event::declared(&self.path, certainty));
        self.defined.secrets.extend(Event::value(&self.path, &value, value_range, certainty));
        if self.path.is_empty() {
            return;
        }
        let is_codchi = self.path.first().is_some_and(|name| name == "codchi");
        let found = if is_codchi { &mut self.defined.options } else { &mut self.defined.settings };
        found.push(OptionUse {
            path: OptionPath::from(self.path.as_slice()),
            segments: place.segments.clone(),
            value_range,
            value,
            certainty,
        });
    }
}

/// Whether a name at a module's top is of the module system, not an option.
fn is_no_setting(name: &str) -> bool {
    matches!(name, "_module" | "_file" | "_class" | "key" | "disabledModules" | "meta" | "freeformType")
}
