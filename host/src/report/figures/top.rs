//! The largest of many, in the room of a few.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Keeps so many of the largest. Among equals, those that were seen first.
#[derive(Debug)]
pub(super) struct Top<K: Ord, T> {
    most: usize,
    seen: u64,
    kept: BinaryHeap<Kept<K, T>>,
}

#[derive(Debug)]
struct Kept<K: Ord, T> {
    rank: Reverse<(K, Reverse<u64>)>,
    value: T,
}

impl<K: Ord, T> Top<K, T> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, seen: 0, kept: BinaryHeap::with_capacity(most + 1) }
    }

    pub(super) fn add(&mut self, key: K, value: impl FnOnce() -> T) {
        let rank = Reverse((key, Reverse(self.seen)));
        self.seen += 1;
        if self.kept.len() >= self.most && self.kept.peek().is_none_or(|least| rank >= least.rank) {
            return;
        }
        self.kept.push(Kept { rank, value: value() });
        if self.kept.len() > self.most {
            self.kept.pop();
        }
    }

    /// The largest first.
    pub(super) fn into_sorted(self) -> impl Iterator<Item = T> {
        self.kept.into_sorted_vec().into_iter().map(|kept| kept.value)
    }
}

impl<K: Ord, T> PartialEq for Kept<K, T> {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl<K: Ord, T> Eq for Kept<K, T> {}

impl<K: Ord, T> PartialOrd for Kept<K, T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord, T> Ord for Kept<K, T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_is_what_a_stable_sort_puts_first(keys in prop::collection::vec(0..20_u32, 0..60), most in 0..12_usize) {
            let mut top = Top::new(most);
            keys.iter().enumerate().for_each(|(nth, key)| top.add(*key, || nth));
            let mut sorted: Vec<usize> = (0..keys.len()).collect();
            sorted.sort_by_key(|nth| Reverse(keys[*nth]));
            sorted.truncate(most);
            prop_assert_eq!(top.into_sorted().collect::<Vec<_>>(), sorted);
        }
    }
}
