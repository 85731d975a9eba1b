//! The ranges of facts, for facts that move when the text before them changes.

use super::{Capability, Duplicate, Literal, OptionUse, PackageUse, SecretUse};
use crate::{TextRange, TextSize};

/// Facts with ranges.
pub(super) trait Ranged {
    /// Calls `change` with each range.
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange));
}

impl<T: Ranged> Ranged for Vec<T> {
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange)) {
        self.iter_mut().for_each(|item| item.change_ranges(change));
    }
}

/// The same facts of a text in which they stand further behind.
pub(super) fn behind<T: Ranged + Clone>(facts: &T, by: TextSize) -> T {
    let mut facts = facts.clone();
    facts.change_ranges(&mut |range| *range += by);
    facts
}

impl Ranged for Literal {
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange)) {
        if let Self::List(items) = self {
            for (item, range) in items {
                item.change_ranges(change);
                change(range);
            }
        }
    }
}

impl Ranged for OptionUse {
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange)) {
        self.segments.iter_mut().for_each(&mut *change);
        change(&mut self.value_range);
        self.value.change_ranges(change);
    }
}

impl Ranged for Capability {
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange)) {
        change(&mut self.range);
    }
}

impl Ranged for SecretUse {
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange)) {
        change(&mut self.range);
    }
}

impl Ranged for PackageUse {
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange)) {
        change(&mut self.range);
    }
}

impl Ranged for Duplicate {
    fn change_ranges(&mut self, change: &mut dyn FnMut(&mut TextRange)) {
        [&mut self.first, &mut self.second, &mut self.binding].into_iter().for_each(change);
    }
}
