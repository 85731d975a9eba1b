//! What is kept of a text's facts for the text after it: what each definition says, by itself.
//!
//! A definition that stands in the next text with the very same tree says the same there, if the names around it mean the
//! same. So a keystroke costs what its own definition costs, and a copy of what the others say.
//!
//! Invariant: facts that are put together from pieces are those of the whole text, always. What a definition says of other
//! places is not kept.

use super::ranges::Ranged;
use crate::TextRange;
use crate::scope::{Scope, is_recursive};
use foldhash::{HashMap, HashMapExt as _};
use rnix::SyntaxKind::*;
use rnix::SyntaxNode;
use rowan::GreenNode;
use std::sync::Arc;

/// No longer than this, in bytes, is a definition that is kept as a whole; in longer ones, those in them are.
const LONGEST: u32 = 4096;

/// What the definitions of a text say; `C` is what that depends on besides the text.
pub(super) struct Pieces<T, C> {
    /// By the address of the definition's tree.
    kept: HashMap<usize, Vec<Kept<T, C>>>,
    surroundings: HashMap<Vec<usize>, Arc<Surroundings>>,
}

impl<T, C> Default for Pieces<T, C> {
    fn default() -> Self {
        Self { kept: HashMap::new(), surroundings: HashMap::new() }
    }
}

struct Kept<T, C> {
    /// Kept, so that no other tree takes its address.
    _tree: GreenNode,
    surroundings: Arc<Surroundings>,
    circumstances: C,
    piece: Arc<Piece<T>>,
}

/// What is around a definition, as far as it decides what the names in it mean.
struct Surroundings {
    /// The addresses of the trees of all bindings, parameters and `with` around it; and how deep in them it is.
    address: Vec<usize>,
    /// Kept, so that no other trees take their addresses.
    _trees: Vec<GreenNode>,
}

/// What one definition says.
pub(super) struct Piece<T> {
    /// With ranges from the definition's beginning.
    pub(super) facts: T,
    /// What it cost to follow names.
    fuel: usize,
}

/// Puts a text's facts together from pieces.
pub(super) struct Keeper<'a, T, C> {
    before: &'a Pieces<T, C>,
    now: Pieces<T, C>,
    /// The surroundings of definitions in the same place.
    of_parents: HashMap<SyntaxNode, Arc<Surroundings>>,
    /// Whether nothing is kept now: the definition that is looked at is a part of one that is.
    is_inside: bool,
}

/// A definition that may be kept.
pub(super) struct Definition<C> {
    tree: GreenNode,
    range: TextRange,
    surroundings: Arc<Surroundings>,
    circumstances: C,
    fuel: usize,
}

impl<'a, T: Ranged, C: PartialEq> Keeper<'a, T, C> {
    pub(super) fn new(before: &'a Pieces<T, C>) -> Self {
        Self { before, now: Pieces::default(), of_parents: HashMap::new(), is_inside: false }
    }

    /// One that keeps nothing.
    pub(super) fn none(before: &'a Pieces<T, C>) -> Self {
        Self { is_inside: true, ..Self::new(before) }
    }

    /// Begins to look at a definition. Gives what it says, where that is known; `None` where it is to be looked at like any
    /// part of the text; else it is to be [kept](Self::keep) when it was looked at.
    pub(super) fn begin(
        &mut self,
        scope: &Scope,
        node: &SyntaxNode,
        circumstances: C,
    ) -> Option<Result<Arc<Piece<T>>, Definition<C>>> {
        let range = node.text_range();
        if self.is_inside || u32::from(range.len()) > LONGEST {
            return None;
        }
        let surroundings = self.surroundings(&node.parent()?);
        let address = address(node);
        let same = |kept: &&Kept<T, C>| {
            Arc::ptr_eq(&kept.surroundings, &surroundings) && kept.circumstances == circumstances
        };
        let find = |pieces: &Pieces<T, C>| {
            pieces.kept.get(&address)?.iter().find(same).map(|kept| Arc::clone(&kept.piece))
        };
        let tree = node.green().to_owned();
        if let Some(piece) = find(&self.now) {
            scope.burn(piece.fuel);
            return Some(Ok(piece));
        }
        if let Some(piece) = find(self.before) {
            scope.burn(piece.fuel);
            let kept = Kept { _tree: tree, surroundings, circumstances, piece: Arc::clone(&piece) };
            self.now.kept.entry(address).or_default().push(kept);
            return Some(Ok(piece));
        }
        self.is_inside = true;
        Some(Err(Definition { tree, range, surroundings, circumstances, fuel: scope.fuel() }))
    }

    /// Keeps what a definition says, which was looked at. Gives it back where it cannot be kept, as it tells of other places.
    pub(super) fn keep(
        &mut self,
        scope: &Scope,
        definition: Definition<C>,
        mut facts: T,
    ) -> Result<Arc<Piece<T>>, T> {
        self.is_inside = false;
        let Definition { tree, range, surroundings, circumstances, fuel } = definition;
        let mut is_here = true;
        facts.change_ranges(&mut |other| is_here &= range.contains_range(*other));
        if !is_here {
            return Err(facts);
        }
        facts.change_ranges(&mut |inner| *inner -= range.start());
        let piece = Arc::new(Piece { facts, fuel: fuel.saturating_sub(scope.fuel()) });
        let address = std::ptr::from_ref::<rowan::GreenNodeData>(&tree).addr();
        let kept = Kept { _tree: tree, surroundings, circumstances, piece: Arc::clone(&piece) };
        self.now.kept.entry(address).or_default().push(kept);
        Ok(piece)
    }

    /// The pieces for the next text.
    pub(super) fn finish(self) -> Pieces<T, C> {
        self.now
    }

    fn surroundings(&mut self, parent: &SyntaxNode) -> Arc<Surroundings> {
        if let Some(known) = self.of_parents.get(parent) {
            return Arc::clone(known);
        }
        let found = Surroundings::of(parent);
        let known = self.now.surroundings.get(&found.address);
        let known = known.or_else(|| self.before.surroundings.get(&found.address));
        let surroundings = known.map_or_else(|| Arc::new(found), Arc::clone);
        self.now.surroundings.insert(surroundings.address.clone(), Arc::clone(&surroundings));
        self.of_parents.insert(parent.clone(), Arc::clone(&surroundings));
        surroundings
    }
}

impl Surroundings {
    /// What is around the children of a node.
    fn of(parent: &SyntaxNode) -> Self {
        let (mut address, mut trees) = (Vec::new(), Vec::new());
        // A definition that is itself a part of this is kept for nothing, which is rare.
        let mut add = |address: &mut Vec<usize>, node: &SyntaxNode| {
            address.push(self::address(node));
            trees.push(node.green().to_owned());
        };
        let (mut definitions, mut names) = (0, 0);
        for node in parent.ancestors() {
            match node.kind() {
                NODE_LET_IN | NODE_LEGACY_LET => bindings(&node).for_each(|it| add(&mut address, &it)),
                NODE_ATTR_SET if is_recursive(&node) => bindings(&node).for_each(|it| add(&mut address, &it)),
                // The parameter, the namespace.
                NODE_LAMBDA | NODE_WITH => node.first_child().iter().for_each(|it| add(&mut address, it)),
                NODE_ATTRPATH_VALUE => {
                    definitions += 1;
                    names += node.first_child().map_or(0, |path| path.children().count());
                    continue;
                }
                _ => continue,
            }
            address.push(usize::from(node.kind() as u16));
        }
        address.extend([definitions, names]);
        Self { address, _trees: trees }
    }
}

fn bindings(node: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> + use<> {
    node.children().filter(|child| matches!(child.kind(), NODE_ATTRPATH_VALUE | NODE_INHERIT))
}

fn address(node: &SyntaxNode) -> usize {
    std::ptr::from_ref(node.green()).addr()
}
