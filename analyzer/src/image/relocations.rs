//! The RELATIVE relocations of a position-independent image.
//!
//! A dynamic RELA entry is 24 bytes: address @0, info @8 (type in the low half), addend @16. Of all types only RELATIVE
//! matters for Go's tables. RELR entries hold no addend: there the word in the file is the value, and nothing is to do.
//!
//! Linkers sort the RELATIVE entries to the front and by address; then the table is searched in place. Where one has not, an
//! index of it is built, which is never larger than the table itself.

use super::Image;
use crate::bytes;
use crate::plan::Arch;

const DT_NULL: u64 = 0;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const ENTRY_SIZE: usize = 24;
const R_X86_64_RELATIVE: u32 = 8;
const R_AARCH64_RELATIVE: u32 = 1027;

/// What is written where.
#[derive(Debug, Default)]
pub(super) enum Relocations<'a> {
    /// Not position-independent.
    #[default]
    None,
    /// A sorted run of RELATIVE entries, in the file.
    Sorted(&'a [u8]),
    /// (address, value), sorted.
    Indexed(Vec<(u64, u64)>),
}

impl<'a> Relocations<'a> {
    /// Finds them through the dynamic section.
    pub fn from_dynamic(image: &Image<'a>, dynamic: &[u8]) -> Self {
        let (mut vaddr, mut size) = (0, 0);
        for entry in dynamic.chunks_exact(16) {
            let value = bytes::u64(entry, 8).unwrap_or(0);
            match bytes::u64(entry, 0) {
                Some(DT_NULL) => break,
                Some(DT_RELA) => vaddr = value,
                Some(DT_RELASZ) => size = value,
                _ => {}
            }
        }
        match image.bytes(vaddr, size) {
            Some(table) if size != 0 => Self::from_table(table, image.arch),
            _ => Relocations::None,
        }
    }

    fn from_table(table: &'a [u8], arch: Arch) -> Self {
        let relative = match arch {
            Arch::Amd64 => R_X86_64_RELATIVE,
            Arch::Arm64 => R_AARCH64_RELATIVE,
        };
        let is_relative = |entry: &&[u8]| bytes::u32(entry, 8) == Some(relative);
        let mut sorted = 0;
        let mut last = None;
        for entry in table.chunks_exact(ENTRY_SIZE).take_while(is_relative) {
            let at = bytes::u64(entry, 0);
            if at <= last {
                break;
            }
            (last, sorted) = (at, sorted + 1);
        }
        let (run, rest) = table.split_at(sorted * ENTRY_SIZE);
        if !rest.chunks_exact(ENTRY_SIZE).any(|e| is_relative(&e)) {
            return Relocations::Sorted(run);
        }
        let mut index: Vec<(u64, u64)> =
            table.chunks_exact(ENTRY_SIZE).filter(is_relative).filter_map(entry).collect();
        index.sort_unstable();
        Relocations::Indexed(index)
    }

    /// What relocation writes at `vaddr`.
    pub fn value_at(&self, vaddr: u64) -> Option<u64> {
        match self {
            Relocations::None => None,
            Relocations::Sorted(table) => search(table, vaddr),
            Relocations::Indexed(index) => {
                let i = index.binary_search_by_key(&vaddr, |&(at, _)| at).ok()?;
                index.get(i).map(|&(_, value)| value)
            }
        }
    }

    /// All of them as (address, value).
    pub fn iter(&self) -> Box<dyn Iterator<Item = (u64, u64)> + '_> {
        match self {
            Relocations::None => Box::new(std::iter::empty()),
            Relocations::Sorted(table) => Box::new(table.chunks_exact(ENTRY_SIZE).filter_map(entry)),
            Relocations::Indexed(index) => Box::new(index.iter().copied()),
        }
    }
}

fn entry(bytes: &[u8]) -> Option<(u64, u64)> {
    Some((bytes::u64(bytes, 0)?, bytes::u64(bytes, 16)?))
}

fn search(table: &[u8], vaddr: u64) -> Option<u64> {
    let (mut low, mut high) = (0, table.len() / ENTRY_SIZE);
    while low < high {
        let middle = low + (high - low) / 2;
        let at = bytes::u64(table, middle * ENTRY_SIZE)?;
        match at.cmp(&vaddr) {
            std::cmp::Ordering::Equal => return bytes::u64(table, middle * ENTRY_SIZE + 16),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(u64, u32, u64)]) -> Vec<u8> {
        let mut out = Vec::new();
        for &(at, kind, addend) in entries {
            out.extend(at.to_le_bytes());
            out.extend(u64::from(kind).to_le_bytes());
            out.extend(addend.to_le_bytes());
        }
        out
    }

    #[test]
    fn sorted_tables_are_searched_in_place() {
        let bytes = table(&[(8, 8, 100), (16, 8, 200), (64, 8, 300), (4, 6, 9)]);
        let relocations = Relocations::from_table(&bytes, Arch::Amd64);
        assert!(matches!(relocations, Relocations::Sorted(_)));
        assert_eq!(relocations.value_at(16), Some(200));
        assert_eq!(relocations.value_at(64), Some(300));
        assert_eq!(relocations.value_at(4), None);
        assert_eq!(relocations.iter().count(), 3);
    }

    #[test]
    fn unsorted_and_mixed_tables_are_indexed() {
        let bytes = table(&[(64, 1027, 300), (4, 1025, 9), (8, 1027, 100)]);
        let relocations = Relocations::from_table(&bytes, Arch::Arm64);
        assert!(matches!(relocations, Relocations::Indexed(_)));
        assert_eq!(relocations.value_at(8), Some(100));
        assert_eq!(relocations.value_at(4), None);
    }
}
