//! Which segment an address lies in, by bisection: it is asked for each word of the tables, and a file may have 256 segments.
//!
//! Segments may stand in any order and overlap; an address then belongs to the first in the file's order that holds it. So
//! the address space is cut where any segment begins or ends, once, and each piece has its segment.

use super::elf::Segment;

/// The pieces: first address, and the segment that holds the piece; ascending, up to the next.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<(u64, Option<Segment>)>);

impl Places {
    pub fn of(segments: &[Segment]) -> Self {
        let mut cuts: Vec<u64> =
            segments.iter().flat_map(|s| [s.vaddr, s.vaddr.saturating_add(s.file_size)]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        Places(cuts.into_iter().map(|at| (at, segments.iter().find(|s| s.holds(at)).copied())).collect())
    }

    pub fn segment(&self, vaddr: u64) -> Option<&Segment> {
        self.piece(vaddr).map(|(segment, _)| segment)
    }

    /// The segment that holds an address, and the first address behind it that may be another's.
    pub fn piece(&self, vaddr: u64) -> Option<(&Segment, u64)> {
        let after = self.0.partition_point(|&(first, _)| first <= vaddr);
        let (_, segment) = self.0.get(after.checked_sub(1)?)?;
        let end = self.0.get(after).map_or(u64::MAX, |&(next, _)| next);
        // At the end of the address space nothing cuts the last byte off.
        segment.as_ref().filter(|s| s.holds(vaddr)).map(|segment| (segment, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_first_segment_that_holds_it() {
        let segment = |vaddr, file_size, flags| Segment {
            vaddr,
            file_offset: 0,
            file_size,
            memory_size: file_size,
            flags,
        };
        let last = u64::MAX;
        let segments = [
            segment(300, 50, 0),
            segment(100, 100, 1),
            segment(150, 200, 2),
            segment(100, 10, 3),
            segment(last - 4, 100, 4),
        ];
        let places = Places::of(&segments);
        for vaddr in (0..400).chain(last - 8..=last) {
            let first = segments.iter().find(|s| s.holds(vaddr));
            assert_eq!(places.segment(vaddr), first, "{vaddr}");
            let Some((segment, end)) = places.piece(vaddr) else { continue };
            assert!((vaddr..end.min(vaddr + 400)).all(|at| places.segment(at) == Some(segment)), "{vaddr}");
        }
        assert_eq!(Places::of(&[]).segment(0), None);
    }
}
