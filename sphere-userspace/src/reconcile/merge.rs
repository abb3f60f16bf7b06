//! Walking two ordered maps side by side: each entry is looked at once, and nothing is searched for.

use std::cmp::Ordering;
use std::collections::{BTreeMap, btree_map};
use std::iter::Peekable;

/// Entries of two maps, in the order of their keys; what only one of them has stands alone.
pub(super) struct Merged<'a, K, L, R> {
    left: Peekable<btree_map::Iter<'a, K, L>>,
    right: Peekable<btree_map::Iter<'a, K, R>>,
}

/// Walks two maps side by side.
pub(super) fn merged<'a, K: Ord, L, R>(left: &'a BTreeMap<K, L>, right: &'a BTreeMap<K, R>) -> Merged<'a, K, L, R> {
    Merged { left: left.iter().peekable(), right: right.iter().peekable() }
}

impl<'a, K: Ord, L, R> Iterator for Merged<'a, K, L, R> {
    type Item = (&'a K, Option<&'a L>, Option<&'a R>);

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.left.peek(), self.right.peek()) {
            (Some((left, _)), Some((right, _))) => left.cmp(right),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        let left = if order.is_le() { self.left.next() } else { None };
        let right = if order.is_ge() { self.right.next() } else { None };
        let key = left.map(|(key, _)| key).or(right.map(|(key, _)| key))?;
        Some((key, left.map(|(_, value)| value), right.map(|(_, value)| value)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_key_comes_once_and_in_order(left: BTreeMap<u8, u16>, right: BTreeMap<u8, u16>) {
            let walked: Vec<_> = merged(&left, &right).collect();
            let keys: Vec<u8> = walked.iter().map(|(key, _, _)| **key).collect();
            let expected: std::collections::BTreeSet<u8> = left.keys().chain(right.keys()).copied().collect();
            prop_assert_eq!(keys, expected.into_iter().collect::<Vec<_>>());
            for (key, in_left, in_right) in walked {
                prop_assert_eq!((in_left, in_right), (left.get(key), right.get(key)));
            }
        }
    }
}
