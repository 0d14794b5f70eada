//! The RELATIVE relocations of a position-independent image.
//!
//! A dynamic RELA entry is 24 bytes: address @0, info @8 (type in the low half), addend @16. Of all types only RELATIVE
//! matters for Go's tables. RELR entries hold no addend: there the word in the file is the value, and nothing is to do.
//!
//! Most linkers sort the RELATIVE entries to the front and by address, Go's own does not. So entries are put into buckets of
//! addresses, in one pass and in place: an index of 4 bytes an entry, and as much again for the buckets.

use crate::arch::Arch;
use crate::bytes;
use crate::error::{ErrorKind, Result};

const DT_NULL: u64 = 0;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const ENTRY_SIZE: usize = 24;
/// More RELATIVE relocations than this no binary has: there are 3,000 for each megabyte of a Go program (226,000 in the largest PIE of the
/// corpus, of 77 MB). Each takes up to 12 bytes of memory.
const MAX_RELATIVE: u64 = 1 << 22;
/// Entries of a bucket that are looked at one after another.
const CROWD: usize = 16;
/// 64 bytes: eight words.
const MIN_BUCKET_SHIFT: u32 = 6;

/// What is written where.
#[derive(Debug, Default)]
pub(super) struct Relocations<'a> {
    table: &'a [u8],
    relative: u32,
    base: u64,
    shift: u32,
    /// Where each bucket begins in `order`, and the end.
    starts: Vec<u32>,
    /// Positions in the table, bucket by bucket.
    order: Vec<u32>,
}

impl<'a> Relocations<'a> {
    /// Finds them through the dynamic section; `bytes_at` reads the image.
    pub fn from_dynamic(
        dynamic: &[u8],
        arch: Arch,
        bytes_at: impl FnOnce(u64, u64) -> Option<&'a [u8]>,
    ) -> Result<Self> {
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
        bytes_at(vaddr, size).map_or_else(|| Ok(Self::default()), |table| Self::from_table(table, arch))
    }

    fn from_table(table: &'a [u8], arch: Arch) -> Result<Self> {
        let relative = arch.relative_relocation();
        let mut out = Relocations { table, relative, ..Relocations::default() };
        let (mut first, mut last, mut count) = (u64::MAX, 0, 0u64);
        for (at, _) in out.iter() {
            (first, last, count) = (first.min(at), last.max(at), count + 1);
        }
        if count > MAX_RELATIVE {
            return Err(ErrorKind::Budget { what: "relocations", count, limit: MAX_RELATIVE });
        }
        if count > 0 {
            out.base = first;
            out.shift = MIN_BUCKET_SHIFT;
            // At most two buckets for each entry, whatever the addresses are.
            while (last - first) >> out.shift >= 2 * count {
                out.shift += 1;
            }
            out.fill(usize::try_from((last - first) >> out.shift).unwrap_or(0) + 1);
        }
        Ok(out)
    }

    /// Sorts by counting.
    fn fill(&mut self, buckets: usize) {
        let mut starts = vec![0u32; buckets + 1];
        for (at, _) in self.iter() {
            if let Some(next) = self.bucket(at).and_then(|b| starts.get_mut(b + 1)) {
                *next += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut order = vec![0u32; usize::try_from(sum).unwrap_or(0)];
        // `starts` is moved along while its buckets are filled, from their ends to their beginnings.
        for (i, entry) in self.table.chunks_exact(ENTRY_SIZE).enumerate().rev() {
            let Some((at, _)) = self.entry(entry) else { continue };
            let Some(end) = self.bucket(at).and_then(|b| starts.get_mut(b + 1)) else { continue };
            *end -= 1;
            if let Some(slot) = usize::try_from(*end).ok().and_then(|e| order.get_mut(e)) {
                *slot = u32::try_from(i).unwrap_or(u32::MAX);
            }
        }
        // Now each bucket's beginning stands where its end did.
        starts.remove(0);
        starts.push(sum);
        (self.starts, self.order) = (starts, order);
        self.sort_crowded();
    }

    /// Buckets of more entries than a real linker puts there are sorted, so that no look-up takes long.
    fn sort_crowded(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        for pair in self.starts.windows(2) {
            let &[start, end] = pair else { continue };
            if let Some(crowd) = order.get_mut(start as usize..end as usize).filter(|c| c.len() > CROWD) {
                // Those of one address stay in their order.
                crowd.sort_unstable_by_key(|&i| (self.at(i).map(|(at, _)| at), i));
            }
        }
        self.order = order;
    }

    fn at(&self, position: u32) -> Option<(u64, u64)> {
        let at = usize::try_from(position).ok()?.checked_mul(ENTRY_SIZE)?;
        self.entry(self.table.get(at..at.checked_add(ENTRY_SIZE)?)?)
    }

    fn bucket(&self, vaddr: u64) -> Option<usize> {
        usize::try_from(vaddr.checked_sub(self.base)? >> self.shift).ok()
    }

    fn entry(&self, bytes: &[u8]) -> Option<(u64, u64)> {
        let is_relative = bytes::u32(bytes, 8) == Some(self.relative);
        is_relative.then(|| Some((bytes::u64(bytes, 0)?, bytes::u64(bytes, 16)?)))?
    }

    /// What relocation writes at `vaddr`: the last entry wins, as it does in the loader.
    pub fn value_at(&self, vaddr: u64) -> Option<u64> {
        let bucket = self.bucket(vaddr)?;
        let start = usize::try_from(*self.starts.get(bucket)?).ok()?;
        let end = usize::try_from(*self.starts.get(bucket.checked_add(1)?)?).ok()?;
        let mut bucket = self.order.get(start..end)?;
        if bucket.len() > CROWD {
            let end = bucket.partition_point(|&i| self.at(i).is_some_and(|(at, _)| at <= vaddr));
            bucket = bucket.get(end.checked_sub(1)?..end)?;
        }
        let is_here = |&i: &u32| self.at(i).filter(|&(at, _)| at == vaddr).map(|(_, value)| value);
        bucket.iter().rev().find_map(is_here)
    }

    /// All of them as (address, value).
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.table.chunks_exact(ENTRY_SIZE).filter_map(|e| self.entry(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &[u8], arch: Arch) -> Relocations<'_> {
        Relocations::from_table(table, arch).expect("no more than there may be")
    }

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
    fn only_relative_entries_count() {
        let bytes = table(&[(8, 8, 100), (16, 8, 200), (64, 8, 300), (4, 6, 9)]);
        let relocations = read(&bytes, Arch::Amd64);
        assert_eq!(relocations.value_at(16), Some(200));
        assert_eq!(relocations.value_at(64), Some(300));
        assert_eq!(relocations.value_at(4), None);
        assert_eq!(relocations.iter().count(), 3);
        assert_eq!(read(&[], Arch::Amd64).value_at(0), None);
    }

    #[test]
    fn every_entry_is_found_wherever_it_lies() {
        for spread in [8u64, 24, 4096, 1 << 40] {
            let entries: Vec<_> = (1..500u64).map(|i| (i * i * spread, 8, i)).collect();
            let bytes = table(&entries);
            let relocations = read(&bytes, Arch::Amd64);
            for (at, _, value) in entries {
                assert_eq!(relocations.value_at(at), Some(value));
                assert_eq!(relocations.value_at(at + 1), None);
            }
            assert_eq!([0, u64::MAX].map(|at| relocations.value_at(at)), [None, None]);
        }
    }

    #[test]
    fn order_does_not_matter_but_the_last_of_one_address_does() {
        let bytes = table(&[(64, 1027, 300), (4, 1025, 9), (8, 1027, 100), (64, 1027, 301)]);
        let relocations = read(&bytes, Arch::Arm64);
        assert_eq!(relocations.value_at(8), Some(100));
        assert_eq!(relocations.value_at(64), Some(301));
        assert_eq!(relocations.value_at(4), None);
    }

    #[test]
    fn a_crowd_in_one_bucket_is_searched_all_the_same() {
        let mut entries: Vec<_> = (0..1000u64).map(|i| (800, 8, i)).collect();
        entries.extend((0..100).rev().map(|i| (i * 8, 8, i)));
        entries.push((u64::MAX / 2, 8, 7));
        let bytes = table(&entries);
        let relocations = read(&bytes, Arch::Amd64);
        assert_eq!(relocations.value_at(800), Some(999));
        assert!((0..100).all(|i| relocations.value_at(i * 8) == Some(i)));
        assert_eq!(relocations.value_at(4), None);
    }

    #[test]
    fn hostile_addresses_cost_no_memory() {
        let bytes = table(&[(0, 8, 1), (u64::MAX, 8, 2), (1 << 63, 8, 3)]);
        let relocations = read(&bytes, Arch::Amd64);
        assert!(relocations.starts.len() <= 8);
        assert_eq!([0, u64::MAX, 1 << 63].map(|at| relocations.value_at(at)), [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn more_than_any_binary_has_are_an_error() {
        let one = table(&[(8, 8, 100)]);
        let most = one.repeat(usize::try_from(MAX_RELATIVE).expect("a number"));
        assert_eq!(read(&most, Arch::Amd64).value_at(8), Some(100));
        let error = Relocations::from_table(&[most, one].concat(), Arch::Amd64).err().map(|e| e.to_string());
        let words = "4194305 relocations, the limit is 4194304";
        assert!(error.as_deref().is_some_and(|error| error.contains(words)), "{error:?}");
    }
}
