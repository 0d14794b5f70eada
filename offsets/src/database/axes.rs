//! Sets of axes: what a version was compiled for, what a run of a field holds for.
//!
//! An axis is known by its position in a document's list. The first 64 are bits of one word, which is all that any module
//! had when this was written and what each look-up asks some hundred times; the rest follows in words of its own, so that a
//! 65th Go, dependency or experiment is no end. An empty box takes no memory.

use serde::{Deserialize, Serialize};

/// How many axes a word has.
const WORD_BITS: usize = 64;

/// A set of axes, by their position in the document's list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Axes {
    first: u64,
    /// Axes 64 to 127 and so on.
    more: Box<[u64]>,
}

impl Axes {
    /// Whether an axis is in the set.
    pub fn has(&self, position: usize) -> bool {
        match position.checked_sub(WORD_BITS) {
            None => self.first >> position & 1 == 1,
            Some(rest) => {
                self.more.get(rest / WORD_BITS).is_some_and(|word| word >> (rest % WORD_BITS) & 1 == 1)
            }
        }
    }

    /// Whether two sets have an axis in common.
    pub fn meets(&self, other: &Self) -> bool {
        self.first & other.first != 0 || self.more.iter().zip(&other.more).any(|(a, b)| a & b != 0)
    }

    fn from_words(words: Vec<u64>) -> Self {
        let mut words = words.into_iter();
        Self { first: words.next().unwrap_or(0), more: words.collect() }
    }
}

impl FromIterator<usize> for Axes {
    fn from_iter<T: IntoIterator<Item = usize>>(positions: T) -> Self {
        let mut words = Vec::new();
        for position in positions {
            let at = position / WORD_BITS;
            if words.len() <= at {
                words.resize(at + 1, 0);
            }
            if let Some(word) = words.get_mut(at) {
                *word |= 1 << (position % WORD_BITS);
            }
        }
        Self::from_words(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_last_axis() {
        let set: Axes = [0, 63, 64, 200].into_iter().collect();
        let held: Vec<usize> = (0..300).filter(|position| set.has(*position)).collect();
        assert_eq!(held, [0, 63, 64, 200]);
        assert!(!set.has(usize::MAX), "the position of what nothing was compiled for");
        assert!(set.meets(&[200].into_iter().collect()) && set.meets(&[63].into_iter().collect()));
        assert!(!set.meets(&[1, 199, 500].into_iter().collect()) && !set.meets(&Axes::default()));
    }
}
