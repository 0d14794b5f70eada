//! A program's DWARF: its units, and entries by their place.

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use gimli::{
    AttributeValue, DebuggingInformationEntry, EndianSlice, LittleEndian, UnitOffset, UnitSectionOffset,
};
use object::{Object, ObjectSection};
use offsets::names;

pub type Reader<'a> = EndianSlice<'a, LittleEndian>;
pub type Unit<'a> = gimli::Unit<Reader<'a>>;
pub type Entry<'a> = DebuggingInformationEntry<Reader<'a>>;
/// A DIE's place in `.debug_info`.
pub type Place = usize;

/// A program's DWARF, with its units in the order of their places.
pub struct Program<'a, 'd> {
    dwarf: &'d gimli::Dwarf<Reader<'a>>,
    /// In the order of their places.
    pub units: &'d [Unit<'a>],
}

/// Reads the DWARF of an ELF file, and does something with it.
pub fn with_program<T>(bytes: &[u8], act: impl FnOnce(&Program<'_, '_>) -> Result<T>) -> Result<T> {
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

impl<'a> Program<'a, '_> {
    /// The unit and offset of a place.
    pub fn entry(&self, place: Place) -> Result<(&Unit<'a>, Entry<'a>)> {
        let (unit, offset) = self.unit_of(place)?;
        Ok((unit, unit.entry(offset).with_context(|| format!("no entry at {place:#x}"))?))
    }

    pub fn unit_of(&self, place: Place) -> Result<(&Unit<'a>, UnitOffset)> {
        let start = |unit: &Unit<'a>| unit.header.debug_info_offset().map_or(0, |offset| offset.0);
        let after = self.units.partition_point(|unit| start(unit) <= place);
        let unit = after.checked_sub(1).and_then(|index| self.units.get(index));
        let found = unit.and_then(|unit| Some((unit, UnitSectionOffset(place).to_unit_offset(unit)?)));
        found.with_context(|| format!("{place:#x} is in no unit"))
    }

    pub fn name(&self, unit: &Unit<'a>, entry: &Entry<'a>) -> Result<Option<Cow<'a, str>>> {
        let Some(value) = entry.attr_value(gimli::DW_AT_name) else { return Ok(None) };
        let text = self.dwarf.attr_string(unit, value).context("DW_AT_name")?;
        // Packages are plain in all that is recorded.
        Ok(Some(match text.to_string_lossy() {
            Cow::Borrowed(name) => names::plain_text(name),
            Cow::Owned(name) => Cow::Owned(names::plain_text(&name).into_owned()),
        }))
    }
}

/// Where an entry of a unit lies.
pub fn place(unit: &Unit<'_>, offset: UnitOffset) -> Place {
    offset.to_unit_section_offset(unit).0
}

/// Where an attribute that refers to another DIE leads.
pub fn reference(unit: &Unit<'_>, value: Option<AttributeValue<Reader<'_>>>) -> Option<Place> {
    match value? {
        AttributeValue::UnitRef(offset) => Some(place(unit, offset)),
        AttributeValue::DebugInfoRef(offset) => Some(offset.0),
        _ => None,
    }
}

/// The abstract function that a copy, or an inlined call, refers to.
pub fn origin(unit: &Unit<'_>, entry: &Entry<'_>) -> Option<Place> {
    reference(unit, entry.attr_value(gimli::DW_AT_abstract_origin))
}
