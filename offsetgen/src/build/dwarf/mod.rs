//! What the DWARF of a Go program says of structs and functions.
//!
//! | DIE | attribute | is |
//! |---|---|---|
//! | `DW_TAG_structure_type` | `DW_AT_name`, `DW_AT_byte_size` | the struct with its full import path |
//! | `DW_TAG_member` in it | `DW_AT_name`, `DW_AT_data_member_location`, `DW_AT_type` | field, offset, a DIE whose name is the type as Go spells it |
//! | `DW_TAG_subprogram` | `DW_AT_name`, `DW_AT_inline` | a function, or with `DW_AT_inline` what its inlined copies refer to |
//! | `DW_TAG_formal_parameter` in it | `DW_AT_variable_parameter` | a parameter, or with it a result |
//! | `DW_TAG_inlined_subroutine` | `DW_AT_abstract_origin` | a call that was inlined |
//!
//! Sections may be compressed; from Go 1.25 they are DWARF 5. Deliberately not here: lines, locations, variables.

mod abi;
mod functions;
mod types;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gimli::{
    AttributeValue, DebuggingInformationEntry, EndianSlice, LittleEndian, UnitOffset, UnitSectionOffset,
};
use object::{Object, ObjectSection};
use offsets::database::observations::{Layout, Shape, Signature};
use offsets::names;

use super::disproof;
use super::wanted::Wanted;

type Reader<'a> = EndianSlice<'a, LittleEndian>;
type Unit<'a> = gimli::Unit<Reader<'a>>;
type Entry<'a> = DebuggingInformationEntry<Reader<'a>>;
/// A DIE's place in `.debug_info`.
type Place = usize;

/// What one program has shown.
#[derive(Debug, Default)]
pub struct Found {
    /// The wanted structs and functions; none is what is not in the program.
    pub shape: Shape,
    /// The packages of all types that lie by value in the wanted structs, or in what the wanted functions take and give.
    pub embedded: BTreeSet<String>,
}

/// The wanted structs and functions that one program has.
pub fn read(path: &Path, wanted: &Wanted, arch: &str) -> Result<Found> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // SAFETY: the file lies in a folder that this process has just made for itself; nothing else writes to it.
    let map =
        unsafe { memmap2::Mmap::map(&file) }.with_context(|| format!("cannot map {}", path.display()))?;
    read_bytes(&map, wanted, arch).context("cannot read the DWARF")
}

/// Adds the names of all structs and functions of one program.
pub fn census(path: &Path, census: &mut disproof::Census) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // SAFETY: as in `read`.
    let map =
        unsafe { memmap2::Mmap::map(&file) }.with_context(|| format!("cannot map {}", path.display()))?;
    with_program(&map, |program| program.names(census)).context("cannot read the DWARF")
}

fn read_bytes(bytes: &[u8], wanted: &Wanted, arch: &str) -> Result<Found> {
    with_program(bytes, |program| program.answer(wanted, &program.census(wanted)?, arch))
}

fn with_program<T>(bytes: &[u8], act: impl FnOnce(&Program<'_, '_>) -> Result<T>) -> Result<T> {
    let elf = object::File::parse(bytes).context("is no object file")?;
    let load = |id: gimli::SectionId| -> Result<Cow<'_, [u8]>> {
        let Some(section) = elf.section_by_name(id.name()) else { return Ok(Cow::Borrowed(&[])) };
        section.uncompressed_data().with_context(|| format!("section {}", id.name()))
    };
    let sections = gimli::DwarfSections::load(load)?;
    let dwarf = sections.borrow(|section| EndianSlice::new(section, LittleEndian));
    let mut units = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next().context(".debug_info: a unit's header")? {
        units.push(dwarf.unit(header).context(".debug_info: a unit")?);
    }
    if units.is_empty() {
        bail!("there is none");
    }
    act(&Program { dwarf: &dwarf, units: &units })
}

/// A program's DWARF, with its units in the order of their places.
struct Program<'a, 'd> {
    dwarf: &'d gimli::Dwarf<Reader<'a>>,
    units: &'d [Unit<'a>],
}

/// What a walk over all DIEs has met.
#[derive(Default)]
struct Census {
    structs: BTreeMap<String, Vec<Place>>,
    /// Subprograms with a name of their own: a copy that is called.
    concrete: BTreeMap<String, Place>,
    /// Subprograms that only inlined and out-of-line copies refer to.
    r#abstract: BTreeMap<String, Place>,
    /// Copies that refer to an abstract one.
    copies: HashMap<Place, Place>,
    /// How many calls of an abstract one were inlined.
    inlined: HashMap<Place, usize>,
}

impl<'a> Program<'a, '_> {
    fn census(&self, wanted: &Wanted) -> Result<Census> {
        let mut census = Census::default();
        for unit in self.units {
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                self.count(unit, entry, wanted, &mut census)?;
            }
        }
        Ok(census)
    }

    fn names(&self, census: &mut disproof::Census) -> Result<()> {
        for unit in self.units {
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                let names = match entry.tag() {
                    gimli::DW_TAG_structure_type => &mut census.structs,
                    gimli::DW_TAG_subprogram => &mut census.functions,
                    _ => continue,
                };
                names.extend(self.name(unit, entry)?.map(Cow::into_owned));
            }
        }
        Ok(())
    }

    fn count(&self, unit: &Unit<'a>, entry: &Entry<'a>, wanted: &Wanted, census: &mut Census) -> Result<()> {
        let place = || place(unit, entry.offset());
        match entry.tag() {
            gimli::DW_TAG_structure_type => {
                if let Some(name) = self.name(unit, entry)?.filter(|name| wanted.structs.contains(&**name)) {
                    census.structs.entry(name.into_owned()).or_default().push(place());
                }
            }
            gimli::DW_TAG_subprogram => {
                if let Some(origin) = origin(unit, entry) {
                    census.copies.insert(origin, place());
                } else if let Some(name) = self.name(unit, entry)?.filter(|n| wanted.functions.contains(&**n))
                {
                    let known = if entry.has_attr(gimli::DW_AT_inline) {
                        &mut census.r#abstract
                    } else {
                        &mut census.concrete
                    };
                    known.insert(name.into_owned(), place());
                }
            }
            gimli::DW_TAG_inlined_subroutine => {
                if let Some(origin) = origin(unit, entry) {
                    *census.inlined.entry(origin).or_default() += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn answer(&self, wanted: &Wanted, census: &Census, arch: &str) -> Result<Found> {
        let mut found = Found::default();
        for name in &wanted.structs {
            let mut layout: Option<Layout> = None;
            for place in census.structs.get(*name).into_iter().flatten() {
                let other = self.layout(*place, &mut found.embedded).with_context(|| (*name).to_owned())?;
                if layout.as_ref().is_some_and(|known| *known != other) {
                    bail!("{name} has two layouts");
                }
                layout = Some(other);
            }
            found.shape.structs.insert((*name).to_owned(), layout);
        }
        for name in &wanted.functions {
            let signature = self.signature(name, census, arch, &mut found.embedded);
            let signature = signature.with_context(|| (*name).to_owned())?;
            found.shape.functions.insert((*name).to_owned(), signature);
        }
        Ok(found)
    }

    fn signature(
        &self,
        name: &str,
        census: &Census,
        arch: &str,
        embedded: &mut BTreeSet<String>,
    ) -> Result<Option<Signature>> {
        let r#abstract = census.r#abstract.get(name);
        let inlined = r#abstract.and_then(|place| census.inlined.get(place)).copied().unwrap_or(0);
        let copy = census.concrete.get(name).or_else(|| census.copies.get(r#abstract?));
        functions::signature(self, r#abstract.copied(), copy.copied(), inlined, arch, embedded)
    }

    /// The unit and offset of a place.
    fn entry(&self, place: Place) -> Result<(&Unit<'a>, Entry<'a>)> {
        let (unit, offset) = self.unit_of(place)?;
        Ok((unit, unit.entry(offset).with_context(|| format!("no entry at {place:#x}"))?))
    }

    fn unit_of(&self, place: Place) -> Result<(&Unit<'a>, UnitOffset)> {
        let start = |unit: &Unit<'a>| unit.header.debug_info_offset().map_or(0, |offset| offset.0);
        let after = self.units.partition_point(|unit| start(unit) <= place);
        let unit = after.checked_sub(1).and_then(|index| self.units.get(index));
        let found = unit.and_then(|unit| Some((unit, UnitSectionOffset(place).to_unit_offset(unit)?)));
        found.with_context(|| format!("{place:#x} is in no unit"))
    }

    fn name(&self, unit: &Unit<'a>, entry: &Entry<'a>) -> Result<Option<Cow<'a, str>>> {
        let Some(value) = entry.attr_value(gimli::DW_AT_name) else { return Ok(None) };
        let text = self.dwarf.attr_string(unit, value).context("DW_AT_name")?;
        // Packages are plain in all that is recorded.
        Ok(Some(match text.to_string_lossy() {
            Cow::Borrowed(name) => names::plain_text(name),
            Cow::Owned(name) => Cow::Owned(names::plain_text(&name).into_owned()),
        }))
    }
}

fn place(unit: &Unit<'_>, offset: UnitOffset) -> Place {
    offset.to_unit_section_offset(unit).0
}

/// Where an attribute that refers to another DIE leads.
fn reference(unit: &Unit<'_>, value: Option<AttributeValue<Reader<'_>>>) -> Option<Place> {
    match value? {
        AttributeValue::UnitRef(offset) => Some(place(unit, offset)),
        AttributeValue::DebugInfoRef(offset) => Some(offset.0),
        _ => None,
    }
}

fn origin(unit: &Unit<'_>, entry: &Entry<'_>) -> Option<Place> {
    reference(unit, entry.attr_value(gimli::DW_AT_abstract_origin))
}
