//! Which operations a joiner has given up before their end had come. Each is counted as lost when it is given up; its end comes all the
//! same, and finds no beginning: whoever counts that asks here first, or one loss would be counted twice.

use std::collections::HashSet;

/// Ids that are kept at least; at most twice as many, which take 2 MiB.
const MOST: usize = 65_536;

/// The span ids of operations that were given up and have not ended since. The oldest are forgotten when they are too many: what never
/// ends is among those.
#[derive(Debug, Default)]
pub struct GivenUp {
    newer: HashSet<[u8; 8]>,
    older: HashSet<[u8; 8]>,
    /// How many were forgotten: if their ends come, they are counted as ends of which nobody knows the beginning.
    pub forgotten: u64,
}

impl GivenUp {
    /// An operation is given up.
    pub fn add(&mut self, span_id: [u8; 8]) {
        if self.newer.len() >= MOST {
            let forgotten = std::mem::replace(&mut self.older, std::mem::take(&mut self.newer));
            self.forgotten += forgotten.len() as u64;
        }
        self.newer.insert(span_id);
    }

    /// Something is said of an operation that is not there. Whether it was given up.
    pub fn has(&self, span_id: [u8; 8]) -> bool {
        self.newer.contains(&span_id) || self.older.contains(&span_id)
    }

    /// The same of its end: the next one of the same operation is one too many.
    pub fn end(&mut self, span_id: [u8; 8]) -> bool {
        self.newer.remove(&span_id) || self.older.remove(&span_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_counted() {
        let mut given_up = GivenUp::default();
        let most = MOST as u64;
        (0..3 * most).for_each(|id| given_up.add(id.to_ne_bytes()));
        assert_eq!(given_up.forgotten, most);
        assert!(!given_up.has((most - 1).to_ne_bytes()) && given_up.has(most.to_ne_bytes()));
        assert!(given_up.end(most.to_ne_bytes()) && !given_up.end(most.to_ne_bytes()));
        assert!(given_up.newer.len() + given_up.older.len() < 2 * MOST);
    }
}
