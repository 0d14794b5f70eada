//! What reading DWARF may cost. Its parts refer to each other freely, so a small file can ask for any amount of work: units
//! that share one big table, entries of one byte with thousands of constant attributes, sections that unpack to gigabytes.
//!
//! Past a limit DWARF is no witness, and the Plan says so. For scale: `kubernetes`-size programs unpack to 100 MB, with some
//! thousand units, one table and some ten million attributes.

use gimli::{Attribute, AttributeValue, EndianSlice, LittleEndian};

use crate::bytes;
use crate::error::{ErrorKind, Result};

/// A part of a section.
pub type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Most bytes that all debug sections together may have when unpacked.
const MAX_UNPACKED_BYTES: u64 = 512 << 20;
/// The same, of a file so often as large: compressors halve or third DWARF, and a bomb's zeros shrink a thousandfold.
const MAX_RATIO: u64 = 32;
/// Never less than this, for small files.
const MIN_UNPACKED_BYTES: u64 = 16 << 20;
/// Most units; one for each package or C file.
const MAX_UNITS: u64 = 1 << 18;
/// Most bytes of all tables of abbreviations together: Go has one of 2 KB, C one of some KB for each file.
const MAX_TABLE_BYTES: u64 = 4 << 20;
/// Most entries, with their attributes.
const MAX_ENTRIES: u64 = 1 << 26;
/// Most bytes that the members of wanted structs may take.
const MAX_MEMBER_BYTES: u64 = 16 << 20;
/// What a member takes besides its texts.
const MEMBER_BYTES: usize = 64;
/// A string inside an entry counts as one attribute for so many bytes.
const BYTES_FOR_ONE: usize = 16;

const DW_FORM_IMPLICIT_CONST: u64 = 0x21;

/// How much has been unpacked.
pub(super) struct Unpacked {
    bytes: u64,
    limit: u64,
}

impl Unpacked {
    /// Nothing yet, of that file.
    pub(super) fn of(file: &[u8]) -> Self {
        let by_ratio = (file.len() as u64).saturating_mul(MAX_RATIO);
        Unpacked { bytes: 0, limit: by_ratio.clamp(MIN_UNPACKED_BYTES, MAX_UNPACKED_BYTES) }
    }

    /// One more section is about to be unpacked.
    pub(super) fn add(&mut self, size: u64) -> Result<()> {
        add(&mut self.bytes, size, self.limit, "bytes of unpacked debug sections")
    }
}

/// What has been counted.
#[derive(Default)]
pub(super) struct Costs {
    units: u64,
    table_bytes: u64,
    entries: u64,
    member_bytes: u64,
}

impl Costs {
    pub(super) fn unit(&mut self) -> Result<()> {
        add(&mut self.units, 1, MAX_UNITS, "DWARF units")
    }

    /// The table at `start` of `.debug_abbrev` is about to be read.
    pub(super) fn table(&mut self, section: &[u8], start: usize) -> Result<()> {
        let len = table_len(section, start).ok_or_else(|| ErrorKind::Missing {
            what: "DWARF",
            why: format!(".debug_abbrev is malformed behind offset {start}"),
        })?;
        add(&mut self.table_bytes, len as u64, MAX_TABLE_BYTES, "bytes of DWARF abbreviations")
    }

    /// An entry was read: all its attributes were.
    pub(super) fn entry(&mut self, attributes: Option<&[Attribute<Slice<'_>>]>) -> Result<()> {
        let attributes = attributes.unwrap_or_default();
        let texts = attributes.iter().map(|a| match a.raw_value() {
            AttributeValue::String(text) => text.len() / BYTES_FOR_ONE,
            _ => 0,
        });
        let cost = texts.fold(attributes.len().saturating_add(1), usize::saturating_add);
        add(&mut self.entries, cost as u64, MAX_ENTRIES, "DWARF entries and attributes")
    }

    /// A member with texts of this length is kept.
    pub(super) fn member(&mut self, texts: usize) -> Result<()> {
        let cost = texts.saturating_add(MEMBER_BYTES) as u64;
        add(&mut self.member_bytes, cost, MAX_MEMBER_BYTES, "bytes of members of structs in DWARF")
    }
}

fn add(sum: &mut u64, more: u64, limit: u64, what: &'static str) -> Result<()> {
    *sum = sum.saturating_add(more);
    if *sum > limit { Err(ErrorKind::Budget { what, count: *sum, limit }) } else { Ok(()) }
}

/// Length of a table: (code, tag, children, (name, form)…, 0, 0)…, 0; a constant follows `DW_FORM_implicit_const`. Ends
/// early once it is over the limit.
fn table_len(section: &[u8], start: usize) -> Option<usize> {
    let limit = usize::try_from(MAX_TABLE_BYTES).ok()?;
    let mut at = start;
    let too_long = |at: usize| at.saturating_sub(start) > limit;
    while at < section.len() && !too_long(at) && bytes::uvarint(section, &mut at)? != 0 {
        bytes::uvarint(section, &mut at)?;
        at = at.checked_add(1)?;
        while !too_long(at) {
            let (name, form) = (bytes::uvarint(section, &mut at)?, bytes::uvarint(section, &mut at)?);
            if form == DW_FORM_IMPLICIT_CONST {
                bytes::uvarint(section, &mut at)?;
            }
            if (name, form) == (0, 0) {
                break;
            }
        }
    }
    Some(at.saturating_sub(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_count_together_and_against_the_file() {
        let limit = |size: usize| Unpacked::of(&vec![0; size]).limit;
        assert_eq!((limit(10), limit(1 << 20), limit(17 << 20)), (16 << 20, 32 << 20, 512 << 20));
        let mut unpacked = Unpacked::of(&[]);
        unpacked.add(10 << 20).expect("one section fits");
        let error = unpacked.add(10 << 20).expect_err("two do not");
        assert!(error.to_string().contains("20971520 bytes of unpacked debug sections"), "{error}");
        assert!(Unpacked::of(&[]).add(u64::MAX).is_err());
    }

    #[test]
    fn a_table_has_its_length() {
        let table = [1, 0x11, 1, 3, 8, 0, 0, 2, 0x34, 0, 3, 0x21, 0x7f, 0, 0, 0, 9];
        assert_eq!(table_len(&table, 0), Some(16));
        assert_eq!(table_len(&table, 7), Some(9), "a table may begin inside another");
        assert_eq!(table_len(&table, 99), Some(0));
        assert_eq!(table_len(&[1, 0x11], 0), None);
    }

    #[test]
    fn tables_that_overlap_are_paid_for_each() {
        let mut costs = Costs::default();
        let table = [vec![1, 0x11, 0], [0x81, 1, 0x81, 1].repeat(1 << 18), vec![0, 0, 0]].concat();
        for _ in 0..3 {
            costs.table(&table, 0).expect("a megabyte each");
        }
        assert!(costs.table(&table, 0).is_err());
    }
}
