//! Struct layouts from the DWARF of a Go program.
//!
//! | DIE | attribute | is |
//! |---|---|---|
//! | `DW_TAG_structure_type` at the top of a unit | `DW_AT_name` | the struct with its full import path |
//! | `DW_TAG_member` in it | `DW_AT_name`, `DW_AT_data_member_location`, `DW_AT_type` | field, offset, a DIE whose name is the type as Go spells it |
//!
//! Sections may be compressed; from Go 1.25 they are DWARF 5. Deliberately not here: anything but structs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gimli::{
    AttributeValue, DebuggingInformationEntry, EndianSlice, LittleEndian, UnitOffset, UnitSectionOffset,
};
use object::{Object, ObjectSection};
use offsets::database::observations::Layout;

type Reader<'a> = EndianSlice<'a, LittleEndian>;
type Unit<'a> = gimli::Unit<Reader<'a>>;

/// The layouts of the wanted structs that one program has.
pub fn read(path: &Path, wanted: &BTreeSet<&str>) -> Result<BTreeMap<String, Layout>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // SAFETY: the file lies in a folder that this process has just made for itself; nothing else writes to it.
    let map =
        unsafe { memmap2::Mmap::map(&file) }.with_context(|| format!("cannot map {}", path.display()))?;
    read_bytes(&map, wanted).with_context(|| format!("cannot read the DWARF of {}", path.display()))
}

fn read_bytes(bytes: &[u8], wanted: &BTreeSet<&str>) -> Result<BTreeMap<String, Layout>> {
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
    let types = Types { dwarf: &dwarf, units: &units };
    let mut found: BTreeMap<String, Layout> = BTreeMap::new();
    for unit in &units {
        types.structs(unit, wanted, &mut found)?;
    }
    Ok(found)
}

struct Types<'a, 'd> {
    dwarf: &'d gimli::Dwarf<Reader<'a>>,
    units: &'d [Unit<'a>],
}

impl<'a> Types<'a, '_> {
    /// The wanted structs of one unit.
    fn structs(
        &self,
        unit: &Unit<'a>,
        wanted: &BTreeSet<&str>,
        found: &mut BTreeMap<String, Layout>,
    ) -> Result<()> {
        let mut tree = unit.entries_tree(None)?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            if child.entry().tag() != gimli::DW_TAG_structure_type {
                continue;
            }
            let Some(name) = self.name(unit, child.entry())? else { continue };
            if !wanted.contains(name.as_str()) {
                continue;
            }
            let mut layout = Layout::new();
            let mut members = child.children();
            while let Some(member) = members.next()? {
                if member.entry().tag() == gimli::DW_TAG_member {
                    let (field, offset, kind) =
                        self.member(unit, member.entry()).with_context(|| name.clone())?;
                    layout.insert(field, (offset, kind));
                }
            }
            if found.insert(name.clone(), layout.clone()).is_some_and(|other| other != layout) {
                bail!("{name} has two layouts");
            }
        }
        Ok(())
    }

    fn member(
        &self,
        unit: &Unit<'a>,
        entry: &DebuggingInformationEntry<Reader<'a>>,
    ) -> Result<(String, u64, String)> {
        let field = self.name(unit, entry)?.context("a member without a name")?;
        let location = entry.attr_value(gimli::DW_AT_data_member_location);
        let offset = location.and_then(|value| value.udata_value());
        let offset = offset.with_context(|| format!("member {field} has no constant offset"))?;
        let kind = self.type_name(unit, entry).with_context(|| format!("type of member {field}"))?;
        Ok((field, offset, kind))
    }

    /// The name of the DIE that `DW_AT_type` refers to, in this unit or another.
    fn type_name(&self, unit: &Unit<'a>, entry: &DebuggingInformationEntry<Reader<'a>>) -> Result<String> {
        let (unit, offset) = match entry.attr_value(gimli::DW_AT_type) {
            Some(AttributeValue::UnitRef(offset)) => (unit, offset),
            Some(AttributeValue::DebugInfoRef(offset)) => self.unit_of(UnitSectionOffset(offset.0))?,
            other => bail!("DW_AT_type is {other:?}"),
        };
        let entry = unit.entry(offset).context("DW_AT_type leads to no entry")?;
        self.name(unit, &entry)?.context("has no name")
    }

    fn unit_of(&self, offset: UnitSectionOffset) -> Result<(&Unit<'a>, UnitOffset)> {
        let mut candidates = self.units.iter();
        let found = candidates.find_map(|unit| Some((unit, offset.to_unit_offset(unit)?)));
        found.with_context(|| format!("DW_AT_type leads to {offset:?}, which is in no unit"))
    }

    fn name(&self, unit: &Unit<'a>, entry: &DebuggingInformationEntry<Reader<'a>>) -> Result<Option<String>> {
        let Some(value) = entry.attr_value(gimli::DW_AT_name) else { return Ok(None) };
        let text = self.dwarf.attr_string(unit, value).context("DW_AT_name")?;
        Ok(Some(text.to_string_lossy().into_owned()))
    }
}
