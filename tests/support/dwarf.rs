//! Struct layouts straight from a binary's DWARF, read with gimli and nothing of the analyzer: the second opinion.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use gimli::{AttributeValue, EndianSlice, LittleEndian};
use object::{Object, ObjectSection};

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// Offsets by (type, field).
pub type Layouts = HashMap<(String, String), u64>;

/// Reads the offset of every member of every named struct in `file`.
pub fn layouts(file: &Path) -> Result<Layouts> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let object =
        object::File::parse(bytes.as_slice()).with_context(|| format!("parse {}", file.display()))?;
    let sections = gimli::DwarfSections::load(|id| section(&object, id.name()))?;
    let dwarf = sections.borrow(|data| EndianSlice::new(data, LittleEndian));
    let mut layouts = Layouts::new();
    let mut units = dwarf.units();
    while let Some(header) = units.next().context("DWARF: next unit")? {
        let unit = dwarf.unit(header).context("DWARF: unit")?;
        read_unit(&dwarf, &unit, &mut layouts).context("DWARF: entries")?;
    }
    Ok(layouts)
}

/// A section's bytes, inflated; empty when there is none of that name.
fn section<'a>(object: &object::File<'a>, name: &str) -> Result<Cow<'a, [u8]>> {
    match object.section_by_name(name) {
        Some(section) => section.uncompressed_data().with_context(|| format!("section {name}")),
        None => Ok(Cow::Borrowed(&[])),
    }
}

fn read_unit<'a>(
    dwarf: &gimli::Dwarf<Reader<'a>>,
    unit: &gimli::Unit<Reader<'a>>,
    layouts: &mut Layouts,
) -> Result<()> {
    let name = |entry: &gimli::DebuggingInformationEntry<Reader<'a>>| -> Result<Option<String>> {
        match entry.attr_value(gimli::DW_AT_name) {
            Some(value) => Ok(Some(dwarf.attr_string(unit, value)?.to_string_lossy().into_owned())),
            None => Ok(None),
        }
    };
    let mut structs: Vec<(isize, String)> = Vec::new();
    let mut entries = unit.entries();
    while let Some(entry) = entries.next_dfs()? {
        let depth = entry.depth();
        structs.retain(|(at, _)| *at < depth);
        match entry.tag() {
            gimli::DW_TAG_structure_type => structs.extend(name(entry)?.map(|n| (depth, n))),
            gimli::DW_TAG_member => {
                let Some((_, owner)) = structs.last().filter(|(at, _)| *at == depth - 1) else { continue };
                let offset = offset(entry).with_context(|| format!("a member of {owner}"))?;
                layouts.insert((owner.clone(), name(entry)?.unwrap_or_default()), offset);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Go writes `DW_AT_data_member_location` as a constant.
fn offset(entry: &gimli::DebuggingInformationEntry<Reader<'_>>) -> Result<u64> {
    match entry.attr_value(gimli::DW_AT_data_member_location) {
        Some(AttributeValue::Udata(n)) => Ok(n),
        Some(other) => other.udata_value().with_context(|| format!("location {other:?}")),
        None => Ok(0),
    }
}
