//! `runtime.moduledata`, the root of everything else: where the text, the functions and the types are.
//!
//! Words 0-31 are the same in all releases: pcHeader 0; slices funcnametab 1, cutab 4, filetab 7, pctab 10, pclntable 13,
//! ftab 16; findfunctab 19, minpc 20, maxpc 21, text 22, etext 23, data and bss 24-31. Behind them come, each at a place of
//! the release's own ([`Layout`]):
//!
//! | word | |
//! |---|---|
//! | types, etypes | the type data; typedesclen between them since 1.27 |
//! | itaboffset, itabsize | since 1.27, behind etypes |
//! | gofunc | what funcdata offsets count from |
//! | textsectmap | a slice: the parts of a text that was split |
//! | typelinks, itablinks | slices, up to 1.26 |
//! | pluginpath | a string |
//! | modulehashes | a slice |
//! | hasmain | a byte |
//!
//! hasmain is 1 in programs. In plugins (which have a pluginpath), shared libraries and C archives it is 0. A program that is
//! linked against Go's shared libraries (`-linkshared`) lists them in modulehashes.

use std::collections::HashMap;

use super::pclntab::Header;
use super::release::{self, Layout, Minor, Release, Roots};
use crate::bytes;
use crate::error::{ErrorKind, Result};
use crate::image::{Image, Segment};

const WORD: u64 = 8;
/// The linker splits text only past 128 MB on arm64; so many parts no binary has.
const MAX_TEXT_SECTIONS: u64 = 256;
/// Words that may point back at one table; real files have one.
const MAX_PLACES: usize = 64;

/// A slice in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// First element.
    pub vaddr: u64,
    /// Number of elements.
    pub len: u64,
}

/// A part of a split text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextSection {
    /// Offsets from the text's start, as the linker laid it out.
    pub start: u64,
    /// Exclusive.
    pub end: u64,
    /// Where it really is.
    pub vaddr: u64,
}

/// What the planner needs of moduledata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleData {
    /// Where it is.
    pub vaddr: u64,
    /// Where its words are.
    pub layout: &'static Layout,
    /// Go 1.18 keeps a field's offset as `offset << 1 | embedded`.
    pub doubled_offsets: bool,
    /// Start of the text: functab's offsets count from here.
    pub text: u64,
    /// End of the text.
    pub etext: u64,
    /// Start of the variables that hold pointers.
    pub data: u64,
    /// Their end.
    pub edata: u64,
    /// Start of the type data: type and name offsets count from here.
    pub types: u64,
    /// End of the type data.
    pub etypes: u64,
    /// funcdata offsets count from here.
    pub gofunc: u64,
    /// How the first types are found.
    pub roots: Roots<Slice>,
    /// More than one only where the text was split.
    pub text_sections: Vec<TextSection>,
    /// Whether package main is in it.
    pub has_main: bool,
    /// Whether it is that of a plugin.
    pub is_plugin: bool,
    /// Whether it names other modules, Go's shared libraries, that it needs.
    pub needs_others: bool,
}

impl ModuleData {
    /// The releases whose layout is this one's, the oldest first; never none.
    pub fn releases(&self) -> impl Iterator<Item = &'static Release> + Clone + use<> {
        release::with_layout(self.layout)
    }

    /// Whether that minor release has this layout.
    pub fn fits(&self, minor: Minor) -> bool {
        release::of(minor).is_some_and(|release| release.layout == self.layout)
    }

    /// Address of the code at this offset from the text's start.
    pub fn text_vaddr(&self, offset: u64) -> u64 {
        let part = self.text_sections.iter().find(|s| s.start <= offset && offset < s.end);
        match part {
            Some(part) => part.vaddr.wrapping_add(offset - part.start),
            None => self.text.wrapping_add(offset),
        }
    }
}

/// Finds the moduledata that points back at this pclntab.
pub fn locate(
    image: &Image<'_>,
    pclntab: &Header,
    minor: Option<Minor>,
    places: &Places,
) -> Result<ModuleData> {
    let candidates = places.of(pclntab);
    let found = candidates.iter().find_map(|&vaddr| read(image, vaddr, pclntab, minor));
    found.ok_or_else(|| missing(pclntab, candidates.first().copied()))
}

fn missing(pclntab: &Header, candidate: Option<u64>) -> ErrorKind {
    let table = pclntab.vaddr;
    let why = match candidate {
        Some(at) => {
            let (oldest, newest) = (release::oldest(), release::newest());
            format!("what points back at the pclntab from {at:#x} has no layout of Go {oldest}-{newest}")
        }
        None => format!("no word of a segment points back at the pclntab at {table:#x}"),
    };
    ErrorKind::Missing { what: "moduledata", why }
}

/// Words that point back at one of some tables, from one pass over the data for all of them.
#[derive(Debug, Default)]
pub struct Places(HashMap<u64, Vec<u64>>);

impl Places {
    /// Looks for them: in the section, then among the relocated words, then in the segments, the writable ones first; until
    /// each table has one.
    pub fn find(image: &Image<'_>, tables: &[Header]) -> Self {
        let mut out = Places::default();
        if let Some(section) = image.section(".go.module") {
            let vaddr = section.vaddr;
            tables.iter().filter(|t| points_back(image, vaddr, t)).for_each(|t| out.add(t, vaddr));
        }
        // A table that the section's moduledata belongs to needs no other.
        let wanted = Wanted::new(tables.iter().filter(|t| out.of(t).is_empty()));
        for (at, value) in image.relocated() {
            if let Some(table) = wanted.at(value).filter(|t| points_back(image, at, t)) {
                out.add(table, at);
            }
        }
        let mut segments: Vec<&Segment> = image.segments.iter().collect();
        segments.sort_by_key(|s| !s.is_writable());
        for segment in segments {
            if tables.iter().all(|t| !out.of(t).is_empty()) {
                break;
            }
            out.look_through(image, segment, &wanted);
        }
        out
    }

    fn look_through(&mut self, image: &Image<'_>, segment: &Segment, wanted: &Wanted<'_>) {
        let tail = image.tail(segment.vaddr).unwrap_or_default();
        let skip = segment.vaddr.wrapping_neg() % WORD;
        let words = tail.get(usize::try_from(skip).unwrap_or(0)..).unwrap_or_default().chunks_exact(8);
        for (i, value) in words.map(|w| bytes::u64(w, 0).unwrap_or(0)).enumerate() {
            if let Some(table) = wanted.at(value) {
                let at = segment.vaddr.wrapping_add(skip).wrapping_add(i as u64 * WORD);
                if points_back(image, at, table) {
                    self.add(table, at);
                }
            }
        }
    }

    fn add(&mut self, table: &Header, place: u64) {
        let places = self.0.entry(table.vaddr).or_default();
        if places.len() < MAX_PLACES && !places.contains(&place) {
            places.push(place);
        }
    }

    /// Those of one table, the likeliest first.
    pub fn of(&self, table: &Header) -> &[u64] {
        self.0.get(&table.vaddr).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Tables by their addresses.
struct Wanted<'t> {
    first: u64,
    last: u64,
    tables: HashMap<u64, &'t Header>,
}

impl<'t> Wanted<'t> {
    fn new(tables: impl Iterator<Item = &'t Header>) -> Self {
        let tables: HashMap<u64, &Header> = tables.map(|t| (t.vaddr, t)).collect();
        let first = tables.keys().copied().min().unwrap_or(u64::MAX);
        let last = tables.keys().copied().max().unwrap_or(0);
        Wanted { first, last, tables }
    }

    /// The one at this address. Two comparisons tell most words apart; a look-up for each would take ten times as long.
    fn at(&self, vaddr: u64) -> Option<&'t Header> {
        let is_near = self.first <= vaddr && vaddr <= self.last;
        is_near.then(|| self.tables.get(&vaddr).copied())?
    }
}

fn word(image: &Image<'_>, vaddr: u64, index: u64) -> Option<u64> {
    image.pointer(vaddr.checked_add(index * WORD)?)
}

fn slice(image: &Image<'_>, vaddr: u64, index: u64) -> Option<Slice> {
    Some(Slice { vaddr: word(image, vaddr, index)?, len: word(image, vaddr, index + 1)? })
}

/// Whether the words that must equal the table's parts do.
fn points_back(image: &Image<'_>, vaddr: u64, pclntab: &Header) -> bool {
    let is = |index, value| word(image, vaddr, index) == Some(value);
    is(0, pclntab.vaddr)
        && is(1, pclntab.names())
        && is(10, pclntab.pctab())
        && is(13, pclntab.functab())
        && is(16, pclntab.functab())
        && is(17, pclntab.functions + 1)
}

fn read(image: &Image<'_>, vaddr: u64, pclntab: &Header, minor: Option<Minor>) -> Option<ModuleData> {
    let fits_header = |release: &&Release| {
        release.pclntab == pclntab.form && release.text_start == (pclntab.text_start != 0)
    };
    // What the version says goes first; what the tables' shape allows comes after it, newest first.
    let by_version = minor.and_then(release::of);
    let by_shape = release::RELEASES.iter().rev().filter(fits_header);
    let mut layouts: Vec<&'static Layout> =
        by_version.into_iter().chain(by_shape).map(|release| release.layout).collect();
    layouts.dedup();
    let mut fitting = layouts.into_iter().filter_map(|layout| with_layout(image, vaddr, layout));
    // With a main package the byte that says so vouches for the layout, so that goes before one without.
    let mut first = None;
    let with_main = fitting.find(|module| {
        module.has_main || {
            first.get_or_insert(module.clone());
            false
        }
    });
    let module = with_main.or(first)?;
    let doubled_offsets = by_version.is_some_and(|release| release.doubled_offsets);
    Some(ModuleData { doubled_offsets, ..module })
}

fn with_layout(image: &Image<'_>, vaddr: u64, layout: &'static Layout) -> Option<ModuleData> {
    let at = |index| word(image, vaddr, index);
    let (text, etext) = (at(22)?, at(23)?);
    let (data, edata) = (at(26)?, at(27)?);
    let (types, etypes) = (at(layout.types)?, at(layout.etypes)?);
    let size = etypes.checked_sub(types)?;
    image.bytes(types, size)?;
    let roots = match layout.roots {
        Roots::Links { types: t, itabs } => {
            Roots::Links { types: slice(image, vaddr, t)?, itabs: slice(image, vaddr, itabs)? }
        }
        Roots::Linear { typedesclen, itabs } => Roots::Linear {
            typedesclen: Slice { vaddr: types, len: at(typedesclen)? },
            itabs: Slice { vaddr: types.checked_add(at(itabs)?)?, len: at(itabs + 1)? },
        },
    };
    let has_main = *image.bytes(vaddr.checked_add(layout.hasmain * WORD)?, 1)?.first()?;
    let needs_others = at(layout.modulehashes + 1)? != 0;
    // All types of a small program may be in the libraries that it needs.
    let has_roots = needs_others || !matches!(&roots, Roots::Links { types, .. } if types.len == 0);
    let sane = text < etext && size > 0 && has_main <= 1 && has_roots && roots_fit(image, &roots, size);
    let text_sections = text_sections(image, slice(image, vaddr, layout.textsectmap)?)?;
    let gofunc = at(layout.gofunc)?;
    sane.then_some(ModuleData {
        vaddr,
        layout,
        doubled_offsets: false,
        text,
        etext,
        data,
        edata,
        types,
        etypes,
        gofunc,
        roots,
        text_sections,
        has_main: has_main == 1,
        is_plugin: at(layout.pluginpath + 1)? != 0,
        needs_others,
    })
}

fn roots_fit(image: &Image<'_>, roots: &Roots<Slice>, size: u64) -> bool {
    let holds = |s: &Slice, width: u64| {
        s.len == 0 || s.len.checked_mul(width).is_some_and(|n| image.bytes(s.vaddr, n).is_some())
    };
    match roots {
        Roots::Links { types, itabs } => holds(types, 4) && holds(itabs, 8),
        Roots::Linear { typedesclen, itabs } => {
            (1..=size).contains(&typedesclen.len) && itabs.len <= size && holds(itabs, 1)
        }
    }
}

/// The parts of a split text; empty when there is one.
fn text_sections(image: &Image<'_>, map: Slice) -> Option<Vec<TextSection>> {
    if map.len <= 1 {
        return Some(Vec::new());
    }
    if map.len > MAX_TEXT_SECTIONS {
        return None;
    }
    let part = |i: u64| {
        let at = map.vaddr.checked_add(i * 24)?;
        let (start, end) = (image.word(at)?, image.word(at.checked_add(8)?)?);
        Some(TextSection { start, end, vaddr: image.pointer(at.checked_add(16)?)? })
    };
    (0..map.len).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::release::Pclntab;
    use super::*;

    #[test]
    fn all_tables_are_looked_for_at_once() {
        let tables: Vec<Header> = (0..64).map(|i| table(0x1000 + 72 * i)).collect();
        let (own, other) = (&tables[40], &tables[7]);
        let mut file = vec![0u8; 4096];
        let mut put = |at: usize, value: u64| file[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let words =
            [(0, own.vaddr), (1, own.names()), (10, own.pctab()), (13, own.functab()), (16, own.functab())];
        for (word, value) in words.into_iter().chain([(17, own.functions + 1)]) {
            put(2048 + 8 * word, value);
        }
        put(1024, other.vaddr); // a pointer to a table, and no moduledata
        for (at, value) in [(32, 64), (64 + 16, 0x1000), (64 + 32, 4096)] {
            put(at, value);
        }
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (file[16], file[18], file[54], file[56], file[64]) = (2, 62, 56, 1, 1);
        let image = Image::parse(&file).expect("an image");
        let places = Places::find(&image, &tables);
        assert_eq!(places.of(own), [0x1000 + 2048]);
        assert!(places.of(other).is_empty() && places.of(&tables[0]).is_empty());
    }

    fn table(vaddr: u64) -> Header {
        let tables = [72, 80, 80, 80, 88];
        Header { vaddr, quantum: 1, form: Pclntab::disguised(), functions: 3, text_start: 0, tables }
    }
}
