//! Names that are bound twice, as Nix's parser sees it: attribute paths that lead into sets which are written out are
//! merged, everything else that is there already is refused.

use super::Duplicate;
use super::ranges::{Ranged, behind};
use super::walk::MAX_DEPTH;
use crate::scope::{attr_name, ident_text};
use crate::{TextRange, TextSize};
use foldhash::{HashMap, HashMapExt as _};
use rnix::ast::{self, Expr, HasEntry};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::ast::AstNode as _;
use std::sync::Arc;

/// What a definition `a.b = VALUE;` binds, by itself.
pub(super) struct Shape {
    /// The names of its path; `None` for one that is computed.
    names: Vec<Option<Arc<str>>>,
    /// The path's range.
    path: TextRange,
    /// That of the definition.
    range: TextRange,
    /// What is bound twice in the set that is its value; with paths that begin with its own.
    within: Vec<Duplicate>,
}

impl Shape {
    /// That of a definition, the parts of which are all looked at.
    pub(super) fn of(definition: &ast::AttrpathValue) -> Option<Self> {
        Self::below(definition, outer(definition.syntax()), &mut |_| None)
    }

    /// That of a definition in sets in which `outer` names lead to it.
    fn below(definition: &ast::AttrpathValue, outer: usize, known: &mut Known<'_>) -> Option<Self> {
        let path = definition.attrpath()?;
        let names: Vec<Option<Arc<str>>> = path.attrs().map(|attr| Some(attr_name(&attr)?.into())).collect();
        let mut within = Vec::new();
        if let Some(set) = definition.value().and_then(written_out) {
            // What a computed name is, only evaluation knows; the set below it is one of its own.
            let path: Vec<_> = names.iter().map_while(Clone::clone).collect();
            let mut inner = Binder { outer, path, found: &mut within, known };
            inner.bind_all(&set, &mut Names::new(), true);
        }
        let range = definition.syntax().text_range();
        Some(Self { names, path: path.syntax().text_range(), range, within })
    }
}

impl Ranged for Shape {
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange)) {
        [&mut self.path, &mut self.range].into_iter().for_each(&mut *change);
        self.within.change_ranges(change);
    }
}

/// Gives what a definition binds, where that is known, with ranges from its beginning.
pub(super) type Known<'k> = dyn FnMut(&SyntaxNode) -> Option<Arc<Shape>> + 'k;

/// What a name is bound to.
enum Bound {
    /// A set that is written out: more may be added to it. What is in it is told from the set where that has to be known.
    Set(TextRange, Names, Option<ast::AttrSet>),
    /// Anything else.
    Value(TextRange),
}

type Names = HashMap<Arc<str>, Bound>;

/// Adds those that a node binds, where it is a set, a `let` or a function's arguments.
pub(super) fn at(node: &SyntaxNode, found: &mut Vec<Duplicate>, known: &mut Known<'_>) {
    let mut binder = Binder { outer: 0, path: Vec::new(), found, known };
    let names = &mut Names::new();
    match node.kind() {
        // A set that is a binding's value is looked at together with what the set around it adds to it.
        SyntaxKind::NODE_ATTR_SET if !is_value(node) => {
            if let Some(set) = ast::AttrSet::cast(node.clone()) {
                binder.bind_all(&set, names, true);
            }
        }
        SyntaxKind::NODE_LET_IN => {
            if let Some(set) = ast::LetIn::cast(node.clone()) {
                binder.bind_all(&set, names, true);
            }
        }
        SyntaxKind::NODE_LEGACY_LET => {
            if let Some(set) = ast::LegacyLet::cast(node.clone()) {
                binder.bind_all(&set, names, true);
            }
        }
        SyntaxKind::NODE_PATTERN => {
            if let Some(pattern) = ast::Pattern::cast(node.clone()) {
                parameters(&pattern, found);
            }
        }
        _ => {}
    }
}

/// The definition that a set is the value of.
fn definition_of(set: &SyntaxNode) -> Option<SyntaxNode> {
    let mut parents = set.ancestors().skip(1).skip_while(|node| node.kind() == SyntaxKind::NODE_PAREN);
    parents.next().filter(|node| node.kind() == SyntaxKind::NODE_ATTRPATH_VALUE)
}

fn is_value(set: &SyntaxNode) -> bool {
    definition_of(set).is_some() && depth_of(set) < MAX_DEPTH
}

/// How many sets in a row a set is in; what is deeper than is looked into begins anew.
fn depth_of(set: &SyntaxNode) -> u32 {
    let bindings = set.ancestors().filter(|node| node.kind() == SyntaxKind::NODE_ATTRPATH_VALUE);
    u32::try_from(bindings.take(MAX_DEPTH as usize + 1).count()).unwrap_or(u32::MAX)
}

/// How many names lead to a definition, from the set with which looking at it begins.
fn outer(definition: &SyntaxNode) -> usize {
    let around = |definition: &SyntaxNode| {
        let set = definition.parent().filter(|set| set.kind() == SyntaxKind::NODE_ATTR_SET && is_value(set));
        set.as_ref().and_then(definition_of)
    };
    let names = |definition: SyntaxNode| {
        let path = ast::AttrpathValue::cast(definition).and_then(|definition| definition.attrpath());
        path.map_or(0, |path| path.attrs().count())
    };
    std::iter::successors(around(definition), around).map(names).sum()
}

struct Binder<'f> {
    /// So many names lead to where `path` begins.
    outer: usize,
    path: Vec<Arc<str>>,
    found: &'f mut Vec<Duplicate>,
    known: &'f mut Known<'f>,
}

impl Binder<'_> {
    /// Adds what a set binds to `names`; `tell` is whether to tell what is there already.
    fn bind_all(&mut self, set: &impl HasEntry, names: &mut Names, tell: bool) {
        if self.outer + self.path.len() >= MAX_DEPTH as usize {
            return;
        }
        for entry in set.entries() {
            match entry {
                ast::Entry::AttrpathValue(definition) => {
                    let node = definition.syntax();
                    if let Some(shape) = (self.known)(node) {
                        self.bind(&definition, &shape, node.text_range().start(), names, tell);
                    } else if let Some(shape) =
                        Shape::below(&definition, self.outer + self.path.len(), self.known)
                    {
                        self.bind(&definition, &shape, TextSize::default(), names, tell);
                    }
                }
                ast::Entry::Inherit(inherit) => {
                    for attr in inherit.attrs() {
                        let Some(name) = attr_name(&attr) else { continue };
                        let range = attr.syntax().text_range();
                        let bound = names.get(name.as_str()).map(Bound::range);
                        self.path.push(name.into());
                        match (bound, self.path.last()) {
                            (Some(first), _) if tell => self.tell(first, range, range),
                            (None, Some(name)) => {
                                names.insert(Arc::clone(name), Bound::Value(range));
                            }
                            _ => {}
                        }
                        self.path.pop();
                    }
                }
            }
        }
    }

    /// One `a.b = VALUE;`, of which the ranges are so much further behind.
    fn bind(
        &mut self,
        definition: &ast::AttrpathValue,
        shape: &Shape,
        by: TextSize,
        mut names: &mut Names,
        tell: bool,
    ) {
        let outer = self.path.len();
        let (path, range) = (shape.path + by, shape.range + by);
        let value = || definition.value().and_then(written_out);
        for (i, name) in shape.names.iter().enumerate() {
            let Some(name) = name else {
                if tell {
                    self.tell_within(outer, shape, by);
                }
                break;
            };
            self.path.push(Arc::clone(name));
            let set = if i + 1 == shape.names.len() {
                let Some(set) = value() else {
                    match names.get(name).map(Bound::range) {
                        Some(first) if tell => self.tell(first, path, range),
                        Some(_) => {}
                        None => {
                            names.insert(Arc::clone(name), Bound::Value(path));
                        }
                    }
                    break;
                };
                Some(set)
            } else {
                None
            };
            if !names.contains_key(name) {
                if set.is_some() && tell {
                    self.tell_within(outer, shape, by);
                }
                names.insert(Arc::clone(name), Bound::Set(path, Names::new(), set));
                match names.get_mut(name) {
                    Some(Bound::Set(_, inner, _)) => names = inner,
                    _ => break,
                }
                continue;
            }
            match names.get_mut(name) {
                Some(Bound::Set(_, inner, before)) => {
                    if let Some(before) = before.take() {
                        self.bind_all(&before, inner, false);
                    }
                    if let Some(set) = &set {
                        self.bind_all(set, inner, tell);
                    }
                    names = inner;
                }
                Some(Bound::Value(first)) => {
                    let first = *first;
                    if tell {
                        self.tell(first, path, range);
                    }
                    break;
                }
                None => break,
            }
        }
        self.path.truncate(outer);
    }

    fn tell(&mut self, first: TextRange, second: TextRange, binding: TextRange) {
        let path = self.path.iter().map(|name| name.to_string()).collect();
        self.found.push(Duplicate { path, first, second, binding });
    }

    /// Tells what is bound twice in a definition's own set, given how many names lead to the definition.
    fn tell_within(&mut self, outer: usize, shape: &Shape, by: TextSize) {
        let outer = &self.path[..outer];
        for duplicate in &shape.within {
            let mut duplicate = behind(duplicate, by);
            duplicate.path.splice(..0, outer.iter().map(|name| name.to_string()));
            self.found.push(duplicate);
        }
    }
}

impl Bound {
    /// Where the name is bound first.
    fn range(&self) -> TextRange {
        match self {
            Self::Set(range, ..) | Self::Value(range) => *range,
        }
    }
}

/// The set that a value is.
fn written_out(value: Expr) -> Option<ast::AttrSet> {
    match value {
        Expr::AttrSet(set) => Some(set),
        Expr::Paren(paren) => written_out(paren.expr()?),
        _ => None,
    }
}

fn parameters(pattern: &ast::Pattern, found: &mut Vec<Duplicate>) {
    let mut names: HashMap<String, TextRange> = HashMap::new();
    let bound = pattern.pat_bind().and_then(|bind| bind.ident());
    for ident in pattern.pat_entries().filter_map(|entry| entry.ident()).chain(bound) {
        let (Some(name), second) = (ident_text(&ident), ident.syntax().text_range()) else { continue };
        match names.get(&name) {
            Some(&first) => {
                found.push(Duplicate { path: vec![name], first, second, binding: second });
            }
            None => {
                names.insert(name, second);
            }
        }
    }
}
