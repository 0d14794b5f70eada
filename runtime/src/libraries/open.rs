//! Operations that have begun and not ended, by their span ids: what a library's joiner keeps.

use std::collections::HashMap;

use runtime_ebpf::record::Head;

use super::given_up::GivenUp;

/// Which part of what is kept goes when it has become too much.
const SHED_PART: usize = 16;

/// What is kept of an operation until its end.
pub trait Kept {
    /// CLOCK_MONOTONIC at its beginning: the oldest are given up first.
    fn start_ns(&self) -> u64;
    /// About how much memory it takes; the same from when it is put here until it is taken.
    fn held_bytes(&self) -> usize;
}

/// The open operations of one library, by process.
#[derive(Debug)]
pub struct Open<K> {
    processes: HashMap<(u32, u32), HashMap<[u8; 8], K>>,
    held_bytes: usize,
    /// Whom [`Open::shed`] has given up.
    pub given_up: GivenUp,
}

impl<K> Default for Open<K> {
    fn default() -> Self {
        Self { processes: HashMap::new(), held_bytes: 0, given_up: GivenUp::default() }
    }
}

impl<K: Kept> Open<K> {
    /// Keeps the operation that this record began. What had the same id, which nothing has, is given up.
    pub fn put(&mut self, head: &Head, kept: K) -> Option<K> {
        self.held_bytes += kept.held_bytes();
        let process = self.processes.entry((head.tgid, head.generation)).or_default();
        let before = process.insert(head.span_id, kept);
        self.gone(before.as_ref());
        before
    }

    /// The operation with this id, of the record's process.
    pub fn get_mut(&mut self, head: &Head, span_id: [u8; 8]) -> Option<&mut K> {
        self.processes.get_mut(&(head.tgid, head.generation))?.get_mut(&span_id)
    }

    /// The same, which is kept no longer.
    pub fn take(&mut self, head: &Head, span_id: [u8; 8]) -> Option<K> {
        let kept = self.processes.get_mut(&(head.tgid, head.generation))?.remove(&span_id);
        self.gone(kept.as_ref());
        kept
    }

    /// Takes those of a process of which this is true.
    pub fn take_if(&mut self, tgid: u32, generation: u32, wanted: impl Fn(&K) -> bool) -> Vec<K> {
        let Some(process) = self.processes.get_mut(&(tgid, generation)) else { return Vec::new() };
        let taken: Vec<K> = process.extract_if(|_, kept| wanted(kept)).map(|(_, kept)| kept).collect();
        taken.iter().for_each(|kept| self.gone(Some(kept)));
        taken
    }

    /// A process, or a generation of it, is gone: takes all that was open there.
    pub fn forget(&mut self, tgid: u32, generation: u32) -> Vec<K> {
        let process = self.processes.remove(&(tgid, generation)).unwrap_or_default();
        let taken: Vec<K> = process.into_values().collect();
        taken.iter().for_each(|kept| self.gone(Some(kept)));
        taken
    }

    /// About how much memory is taken.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Gives up the oldest part of what the process has that has most: what one never ends, nobody else misses.
    pub fn shed(&mut self) -> Vec<K> {
        let largest = self.processes.values_mut().max_by_key(|process| process.len());
        let Some(process) = largest.filter(|process| !process.is_empty()) else {
            self.held_bytes = 0;
            return Vec::new();
        };
        let mut starts: Vec<u64> = process.values().map(Kept::start_ns).collect();
        let nth = starts.len() / SHED_PART;
        let (_, &mut limit, _) = starts.select_nth_unstable(nth);
        let mut shed = Vec::new();
        for (span_id, kept) in process.extract_if(|_, kept| kept.start_ns() <= limit) {
            self.given_up.add(span_id);
            shed.push(kept);
        }
        shed.iter().for_each(|kept| self.gone(Some(kept)));
        shed
    }

    fn gone(&mut self, kept: Option<&K>) {
        self.held_bytes = self.held_bytes.saturating_sub(kept.map_or(0, Kept::held_bytes));
    }
}

#[cfg(test)]
mod tests {
    use runtime_ebpf::libraries::NET_HTTP_CLIENT;

    use super::*;
    use crate::records::tests::some_head;

    #[derive(Debug, PartialEq)]
    struct At(u64);

    impl Kept for At {
        fn start_ns(&self) -> u64 {
            self.0
        }
        fn held_bytes(&self) -> usize {
            100
        }
    }

    fn head(generation: u32, span: u8) -> Head {
        Head { generation, span_id: [span; 8], ..some_head(NET_HTTP_CLIENT.code, 1) }
    }

    #[test]
    fn what_is_kept_is_counted_until_it_is_gone() {
        let mut open = Open::default();
        for span in 1..=32 {
            assert_eq!(open.put(&head(1, span), At(u64::from(span))), None);
        }
        assert_eq!(open.put(&head(1, 32), At(32)), Some(At(32)));
        assert_eq!(open.put(&head(2, 1), At(99)), None);
        assert_eq!(open.held_bytes(), 3300);
        assert_eq!(open.take(&head(2, 2), [2; 8]), None);
        assert_eq!(open.take(&head(1, 2), [2; 8]), Some(At(2)));
        assert_eq!(open.take(&head(1, 2), [2; 8]), None);
        // A sixteenth of the larger process's, and one; nothing of the other's, though it is older.
        assert_eq!(open.put(&head(2, 2), At(0)), None);
        let mut shed: Vec<u64> = open.shed().into_iter().map(|at| at.0).collect();
        shed.sort_unstable();
        assert_eq!(shed, [1, 3]);
        let given_up: Vec<u8> = (1..=32).filter(|span| open.given_up.has([*span; 8])).collect();
        assert_eq!(given_up, [1, 3]);
        assert_eq!(open.take(&head(2, 2), [2; 8]), Some(At(0)));
        assert_eq!(open.take_if(head(1, 1).tgid, 1, |at| at.0 > 30).len(), 2);
        assert_eq!(open.forget(head(2, 1).tgid, 2), [At(99)]);
        assert_eq!(open.forget(head(1, 1).tgid, 1).len(), 27);
        assert_eq!((open.held_bytes(), open.shed()), (0, vec![]));
    }
}
