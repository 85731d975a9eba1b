//! Which definition a name refers to, as far as the text shows it.
//!
//! Nix is lexically scoped, so a name's definition is found by walking from the name outwards. Bindings of `let` and
//! `rec` are followed; parameters, `with` and everything that evaluation would have to tell are not.

use crate::TextRange;
use foldhash::{HashMap, HashMapExt as _};
use rnix::SyntaxKind::{NODE_ATTR_SET, NODE_LAMBDA, NODE_LEGACY_LET, NODE_LET_IN, NODE_WITH, TOKEN_REC};
use rnix::ast::{self, Attr, Expr, HasEntry as _};
use rnix::{NixLanguage, SyntaxNode};
use rowan::Language as _;
use rowan::ast::AstNode as _;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// How many references in a row are followed.
const MAX_STEPS: u32 = 32;

/// Answers questions about names; remembers each scope's names.
pub(crate) struct Scope {
    names: RefCell<HashMap<SyntaxNode, Rc<Names>>>,
    /// How much text may still be looked at because it was referred to. Without a limit, bindings that refer to each
    /// other several times would make the work exponential.
    fuel: Cell<usize>,
    is_short: Cell<bool>,
}

type Names = HashMap<String, Definition>;

/// What a name is bound to in one scope.
#[derive(Clone)]
enum Definition {
    /// `name = EXPR;`
    Value(Expr),
    /// `inherit name;`: what the name is outside of this node.
    Outer(SyntaxNode),
    /// `inherit (EXPR) name;`
    Member(Expr),
    /// A parameter of a function.
    Parameter,
    /// All arguments of a function: `name@{ … }`.
    Arguments,
    /// Something in parts (`name.a = …; name.b = …;`).
    Unknown,
}

/// What a name refers to.
enum Lookup {
    /// This expression.
    Value(Expr),
    /// An attribute of this expression, of the same name.
    Member(Expr),
    /// A parameter.
    Parameter,
    /// All arguments of a function.
    Arguments,
    /// Nothing that is visible.
    Unknown,
    /// Nothing in the text: Nix's own, or what these `with` bring.
    Free(Vec<Expr>),
}

/// The functions of nixpkgs' `lib` whose meaning for definitions is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LibFunction {
    /// `mkIf CONDITION VALUE`.
    MkIf,
    /// `mkMerge [ VALUE … ]`.
    MkMerge,
    /// `mkDefault VALUE` and others that are overridable.
    Overridable,
    /// `mkForce VALUE`, `mkBefore VALUE` and others that are not.
    Forced,
    /// `mkOverride PRIORITY VALUE`.
    MkOverride,
    /// `mkOrder PRIORITY VALUE`.
    MkOrder,
    /// `optionalAttrs CONDITION SET`, `optionals CONDITION LIST`.
    Optionals,
    /// `optional CONDITION ELEMENT`.
    Optional,
}

impl LibFunction {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "mkIf" => Self::MkIf,
            "mkMerge" => Self::MkMerge,
            "mkDefault" | "mkOptionDefault" => Self::Overridable,
            "mkForce" | "mkVMOverride" | "mkImageMediaOverride" | "mkBefore" | "mkAfter" => Self::Forced,
            "mkOverride" => Self::MkOverride,
            "mkOrder" => Self::MkOrder,
            "optionalAttrs" | "optionals" => Self::Optionals,
            "optional" => Self::Optional,
            _ => return None,
        })
    }
}

/// What is read of a module argument.
pub(crate) struct Argument<'n> {
    /// Which.
    pub(crate) argument: &'n str,
    /// The path below it.
    pub(crate) path: Vec<String>,
    /// The range of each of the path's last names, of those that are written where it is read.
    pub(crate) ranges: Vec<TextRange>,
}

impl<'n> Argument<'n> {
    fn whole(argument: &'n str) -> Self {
        Self { argument, path: Vec::new(), ranges: Vec::new() }
    }
}

/// A call, taken apart.
pub(crate) enum Call {
    /// One of `lib`'s functions with its arguments.
    Lib(LibFunction, Vec<Expr>),
    /// `import PATH …`: the path's expression.
    Import(Expr),
    /// Any other: the last name of the called function, where it has one, and its arguments.
    Other(Option<String>, Vec<Expr>),
}

impl Scope {
    /// For a text of this many bytes.
    pub(crate) fn new(text_len: usize) -> Self {
        Self { names: RefCell::default(), fuel: Cell::new(4 * text_len + 4096), is_short: Cell::new(false) }
    }

    /// What a variable or a selection refers to. `None` where that is not visible; never another selection or pair of
    /// parentheses, and of variables only Nix's own `true`, `false` and `null`.
    pub(crate) fn follow(&self, expr: &Expr) -> Option<Expr> {
        self.follow_steps(expr, MAX_STEPS)
    }

    fn follow_steps(&self, expr: &Expr, steps: u32) -> Option<Expr> {
        let steps = steps.checked_sub(1)?;
        match expr {
            Expr::Paren(paren) => self.follow_steps(&paren.expr()?, steps),
            Expr::Ident(ident) => {
                let name = ident_text(ident)?;
                match self.lookup(ident.syntax(), &name) {
                    Lookup::Value(value) => self.spend(&value, steps),
                    Lookup::Member(set) => self.member(&set, &name, steps),
                    Lookup::Free(_) if matches!(name.as_str(), "true" | "false" | "null") => {
                        Some(expr.clone())
                    }
                    _ => None,
                }
            }
            Expr::Select(select) => {
                if select.or_token().is_some() {
                    return None;
                }
                let mut value = select.expr()?;
                for attr in select.attrpath()?.attrs() {
                    value = self.member(&value, &attr_name(&attr)?, steps)?;
                }
                self.follow_steps(&value, steps)
            }
            other => Some(other.clone()),
        }
    }

    /// What `inherit NAME;` or `inherit (FROM) NAME;` gives.
    pub(crate) fn inherited(&self, inherit: &ast::Inherit, name: &str) -> Option<Expr> {
        let value = match inherit.from() {
            Some(from) => return self.member(&from.expr()?, name, MAX_STEPS),
            None => match self.lookup(&inherit.syntax().parent()?, name) {
                Lookup::Value(value) => self.spend(&value, MAX_STEPS)?,
                Lookup::Member(set) => self.member(&set, name, MAX_STEPS)?,
                _ => return None,
            },
        };
        Some(value)
    }

    /// Follows to a value elsewhere, as long as there is fuel.
    fn spend(&self, value: &Expr, steps: u32) -> Option<Expr> {
        self.burn(usize::from(value.syntax().text_range().len()))?;
        self.follow_steps(value, steps)
    }

    /// Takes so much of the fuel, if there is so much.
    pub(crate) fn burn(&self, fuel: usize) -> Option<()> {
        let rest = self.fuel.get().checked_sub(fuel);
        self.is_short.set(self.is_short.get() || rest.is_none());
        self.fuel.set(rest?);
        Some(())
    }

    /// How much fuel there is.
    pub(crate) fn fuel(&self) -> usize {
        self.fuel.get()
    }

    /// Whether some name was not followed for lack of fuel.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.get()
    }

    /// The attribute of a set that is written out.
    fn member(&self, set: &Expr, name: &str, steps: u32) -> Option<Expr> {
        let steps = steps.checked_sub(1)?;
        let Expr::AttrSet(set) = self.follow_steps(set, steps)? else { return None };
        match self.names(set.syntax()).get(name)?.clone() {
            Definition::Value(value) => self.spend(&value, steps),
            Definition::Member(set) => self.member(&set, name, steps),
            Definition::Outer(node) => match self.lookup(&node, name) {
                Lookup::Value(value) => self.spend(&value, steps),
                Lookup::Member(set) => self.member(&set, name, steps),
                _ => None,
            },
            Definition::Parameter | Definition::Arguments | Definition::Unknown => None,
        }
    }

    /// Whether an identifier is Nix's own `true`, `null`, `import` or the like: no scope of the text binds its name.
    /// (`with` cannot: what is bound around it wins.)
    pub(crate) fn is_global(&self, ident: &ast::Ident, name: &str) -> bool {
        ident_text(ident).as_deref() == Some(name)
            && matches!(self.lookup(ident.syntax(), name), Lookup::Free(_))
    }

    /// Takes a call apart.
    pub(crate) fn call(&self, apply: &ast::Apply) -> Call {
        let mut arguments = Vec::new();
        let mut callee = Expr::Apply(apply.clone());
        loop {
            callee = match callee {
                Expr::Apply(apply) => {
                    arguments.extend(apply.argument());
                    match apply.lambda() {
                        Some(lambda) => lambda,
                        None => return Call::Other(None, arguments),
                    }
                }
                Expr::Paren(paren) => match paren.expr() {
                    Some(inner) => inner,
                    None => return Call::Other(None, arguments),
                },
                _ => break,
            };
        }
        arguments.reverse();
        if let Some(function) = self.lib_function(&callee, MAX_STEPS) {
            return Call::Lib(function, arguments);
        }
        match (&callee, arguments.first()) {
            (Expr::Ident(ident), Some(path)) if self.is_global(ident, "import") => Call::Import(path.clone()),
            _ => Call::Other(last_name(&callee), arguments),
        }
    }

    fn lib_function(&self, callee: &Expr, steps: u32) -> Option<LibFunction> {
        let steps = steps.checked_sub(1)?;
        match callee {
            Expr::Paren(paren) => self.lib_function(&paren.expr()?, steps),
            Expr::Select(select) => {
                let mut names: Vec<_> = select.attrpath()?.attrs().map(|attr| attr_name(&attr)).collect();
                let function = LibFunction::named(names.pop()??.as_str())?;
                let below_lib = names.iter().flatten().any(|name| name == "lib");
                (below_lib || is_lib(&select.expr()?)).then_some(function)
            }
            Expr::Ident(ident) => {
                let name = ident_text(ident)?;
                match self.lookup(ident.syntax(), &name) {
                    Lookup::Value(value) => self.lib_function(&value, steps),
                    Lookup::Member(set) => LibFunction::named(&name).filter(|_| is_lib(&set)),
                    Lookup::Free(withs) => LibFunction::named(&name).filter(|_| withs.iter().any(is_lib)),
                    Lookup::Parameter | Lookup::Arguments | Lookup::Unknown => None,
                }
            }
            _ => None,
        }
    }

    /// The path below the module argument `argument` (`config`, `pkgs`) that an expression reads, with the range of each
    /// name that is written at it: `config.a.b`, or `cfg.b` after `let cfg = config.a;`. `None` for anything else.
    pub(crate) fn argument_path(&self, expr: &Expr, argument: &str) -> Option<(Vec<String>, Vec<TextRange>)> {
        self.argument_of(expr, &[argument]).map(|Argument { path, ranges, .. }| (path, ranges))
    }

    /// The same of whichever of several arguments it is.
    pub(crate) fn argument_of<'n>(&self, expr: &Expr, arguments: &[&'n str]) -> Option<Argument<'n>> {
        self.argument_steps(expr, arguments, MAX_STEPS)
    }

    fn argument_steps<'n>(&self, expr: &Expr, arguments: &[&'n str], steps: u32) -> Option<Argument<'n>> {
        let steps = steps.checked_sub(1)?;
        let among = |name: &str| arguments.iter().copied().find(|argument| *argument == name);
        match expr {
            Expr::Paren(paren) => self.argument_steps(&paren.expr()?, arguments, steps),
            Expr::Ident(ident) => {
                let name = ident_text(ident)?;
                match self.lookup(ident.syntax(), &name) {
                    Lookup::Value(value) => {
                        let elsewhere = self.argument_steps(&value, arguments, steps)?;
                        Some(Argument { ranges: Vec::new(), ..elsewhere })
                    }
                    Lookup::Member(set) => {
                        if let Some(argument) = among(&name)
                            && matches!(&set, Expr::Ident(set) if self.is_arguments(set))
                        {
                            return Some(Argument::whole(argument));
                        }
                        let Argument { argument, mut path, .. } =
                            self.argument_steps(&set, arguments, steps)?;
                        path.push(name);
                        Some(Argument { argument, path, ranges: Vec::new() })
                    }
                    Lookup::Parameter | Lookup::Free(_) => among(&name).map(Argument::whole),
                    _ => None,
                }
            }
            Expr::Select(select) => {
                let base = select.expr()?;
                let mut attrs = select.attrpath()?.attrs().peekable();
                let first = attrs.peek().and_then(attr_name);
                let mut found = match first.as_deref().and_then(among) {
                    Some(argument) if matches!(&base, Expr::Ident(base) if self.is_arguments(base)) => {
                        attrs.next();
                        Argument::whole(argument)
                    }
                    _ => self.argument_steps(&base, arguments, steps)?,
                };
                for attr in attrs {
                    // What is computed ends what is known.
                    let Some(name) = attr_name(&attr) else { break };
                    found.path.push(name);
                    found.ranges.push(attr.syntax().text_range());
                }
                Some(found)
            }
            _ => None,
        }
    }

    /// Whether a name is that of all arguments of a function.
    fn is_arguments(&self, ident: &ast::Ident) -> bool {
        ident_text(ident).is_some_and(|name| matches!(self.lookup(ident.syntax(), &name), Lookup::Arguments))
    }

    /// Whether an expression may be all arguments of a module: those of a function, under a name that no single one has.
    pub(crate) fn may_be_arguments(&self, expr: &Expr) -> bool {
        let Expr::Ident(ident) = expr else { return false };
        let Some(name) = ident_text(ident) else { return false };
        !matches!(name.as_str(), "config" | "lib" | "pkgs")
            && matches!(self.lookup(ident.syntax(), &name), Lookup::Arguments | Lookup::Parameter)
    }

    /// Whether a name may stand for a module argument or a part of one: it is bound to something, or to all arguments.
    pub(crate) fn may_stand_for_argument(&self, node: &SyntaxNode, name: &str) -> bool {
        matches!(self.lookup(node, name), Lookup::Value(_) | Lookup::Member(_) | Lookup::Arguments)
    }

    /// Whether a name means what the text is given from outside: an argument, or what a `with` brings.
    pub(crate) fn is_given(&self, node: &SyntaxNode, name: &str) -> bool {
        !matches!(self.lookup(node, name), Lookup::Value(_) | Lookup::Member(_))
    }

    /// Whether a name that no scope binds may come from a `with` of the module argument `argument`.
    pub(crate) fn is_from_with(&self, ident: &ast::Ident, name: &str, argument: &str) -> bool {
        match self.lookup(ident.syntax(), name) {
            Lookup::Free(withs) => withs
                .iter()
                .any(|with| self.argument_path(with, argument).is_some_and(|(path, _)| path.is_empty())),
            _ => false,
        }
    }

    /// What `name` means at `node`.
    fn lookup(&self, node: &SyntaxNode, name: &str) -> Lookup {
        let mut withs = Vec::new();
        let mut inner = node.clone();
        while let Some(outer) = inner.parent() {
            match outer.kind() {
                NODE_WITH => {
                    let namespace = ast::With::cast(outer.clone()).and_then(|with| with.namespace());
                    withs.extend(namespace.filter(|namespace| *namespace.syntax() != inner));
                }
                NODE_LET_IN | NODE_LEGACY_LET | NODE_LAMBDA => {
                    if let Some(definition) = self.names(&outer).get(name) {
                        return self.defined(definition, name);
                    }
                }
                NODE_ATTR_SET => {
                    if is_recursive(&outer)
                        && let Some(definition) = self.names(&outer).get(name)
                    {
                        return self.defined(definition, name);
                    }
                }
                _ => {}
            }
            inner = outer;
        }
        Lookup::Free(withs)
    }

    fn defined(&self, definition: &Definition, name: &str) -> Lookup {
        match definition {
            Definition::Value(value) => Lookup::Value(value.clone()),
            Definition::Member(set) => Lookup::Member(set.clone()),
            Definition::Outer(node) => self.lookup(node, name),
            Definition::Parameter => Lookup::Parameter,
            Definition::Arguments => Lookup::Arguments,
            Definition::Unknown => Lookup::Unknown,
        }
    }

    /// The `let`, recursive set or function that binds a name for what is at `node`.
    pub(crate) fn binder(&self, node: &SyntaxNode, name: &str) -> Option<SyntaxNode> {
        node.ancestors().skip(1).find(|outer| self.binds(outer, name))
    }

    /// Whether a node is a `let`, a recursive set or a function that binds a name for what is in it.
    pub(crate) fn binds(&self, node: &SyntaxNode, name: &str) -> bool {
        match node.kind() {
            NODE_LET_IN | NODE_LEGACY_LET | NODE_LAMBDA => self.names(node).contains_key(name),
            NODE_ATTR_SET => is_recursive(node) && self.names(node).contains_key(name),
            _ => false,
        }
    }

    /// The names that a `let`, a set or a function binds.
    fn names(&self, node: &SyntaxNode) -> Rc<Names> {
        if let Some(names) = self.names.borrow().get(node) {
            return Rc::clone(names);
        }
        let names = Rc::new(
            match node.kind() {
                NODE_LET_IN => ast::LetIn::cast(node.clone()).map(|it| entries(it.entries(), node)),
                NODE_LEGACY_LET => ast::LegacyLet::cast(node.clone()).map(|it| entries(it.entries(), node)),
                NODE_ATTR_SET => ast::AttrSet::cast(node.clone()).map(|it| entries(it.entries(), node)),
                NODE_LAMBDA => ast::Lambda::cast(node.clone()).map(|it| parameters(&it)),
                _ => None,
            }
            .unwrap_or_default(),
        );
        self.names.borrow_mut().insert(node.clone(), Rc::clone(&names));
        names
    }
}

/// Whether a set is recursive. By the green tree, where a look at the first child takes no memory; `AttrSet::rec_token` looks
/// at all children.
pub(crate) fn is_recursive(set: &SyntaxNode) -> bool {
    set.green().children().next().is_some_and(|first| first.kind() == NixLanguage::kind_to_raw(TOKEN_REC))
}

fn entries(entries: impl Iterator<Item = ast::Entry>, node: &SyntaxNode) -> Names {
    let mut names = Names::new();
    for entry in entries {
        match entry {
            ast::Entry::AttrpathValue(binding) => {
                let Some(path) = binding.attrpath() else { continue };
                let mut attrs = path.attrs();
                let Some(name) = attrs.next().and_then(|attr| attr_name(&attr)) else { continue };
                let whole = attrs.next().is_none();
                let definition = match binding.value() {
                    // Two definitions of one name are merged by Nix, or an error.
                    Some(value) if whole && !names.contains_key(&name) => Definition::Value(value),
                    _ => Definition::Unknown,
                };
                names.insert(name, definition);
            }
            ast::Entry::Inherit(inherit) => {
                let from = inherit.from().map(|from| from.expr());
                for name in inherit.attrs().filter_map(|attr| attr_name(&attr)) {
                    let definition = match &from {
                        Some(Some(from)) => Definition::Member(from.clone()),
                        Some(None) => Definition::Unknown,
                        None => Definition::Outer(node.clone()),
                    };
                    names.insert(name, definition);
                }
            }
        }
    }
    names
}

fn parameters(lambda: &ast::Lambda) -> Names {
    let (idents, arguments): (Vec<_>, _) = match lambda.param() {
        Some(ast::Param::IdentParam(param)) => (param.ident().into_iter().collect(), None),
        Some(ast::Param::Pattern(pattern)) => {
            let bound = pattern.pat_bind().and_then(|bind| bind.ident());
            (pattern.pat_entries().filter_map(|entry| entry.ident()).collect(), bound)
        }
        None => (Vec::new(), None),
    };
    let named = |definition: Definition| {
        move |ident: &ast::Ident| ident_text(ident).map(|name| (name, definition.clone()))
    };
    let parameters = idents.iter().filter_map(named(Definition::Parameter));
    parameters.chain(arguments.iter().filter_map(named(Definition::Arguments))).collect()
}

/// Whether an expression is nixpkgs' `lib` or a part of it, by its name.
fn is_lib(expr: &Expr) -> bool {
    match expr {
        Expr::Ident(ident) => ident_text(ident).as_deref() == Some("lib"),
        Expr::Select(select) => {
            select.expr().is_some_and(|base| is_lib(&base))
                || select
                    .attrpath()
                    .is_some_and(|path| path.attrs().any(|attr| attr_name(&attr).as_deref() == Some("lib")))
        }
        Expr::Paren(paren) => paren.expr().is_some_and(|inner| is_lib(&inner)),
        _ => false,
    }
}

fn last_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Ident(ident) => ident_text(ident),
        Expr::Select(select) => attr_name(&select.attrpath()?.attrs().last()?),
        _ => None,
    }
}

/// An identifier's name.
pub(crate) fn ident_text(ident: &ast::Ident) -> Option<String> {
    Some(ident.ident_token()?.text().to_owned())
}

/// An attribute's name, where it is written out: `a`, `"a"` or `${"a"}`.
pub(crate) fn attr_name(attr: &Attr) -> Option<String> {
    match attr {
        Attr::Ident(ident) => ident_text(ident),
        Attr::Str(string) => crate::strings::string_value(string),
        Attr::Dynamic(dynamic) => match dynamic.expr()? {
            Expr::Str(string) => crate::strings::string_value(&string),
            _ => None,
        },
    }
}
