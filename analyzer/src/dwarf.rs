//! Struct layouts from DWARF, where a binary still has it.
//!
//! Go's linker puts all type entries into the unit of package `runtime`, below its root. So that unit is read first, and the
//! others only while a wanted struct has not been seen. Compressed sections are unpacked up to a limit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gimli::{
    Abbreviations, AttributeValue, DebuggingInformationEntry, EndianSlice, LittleEndian, UnitHeader,
    UnitOffset,
};
use object::{Object as _, ObjectSection as _};

use crate::error::{ErrorKind, Result};

/// Most bytes that a debug section may have when unpacked.
const MAX_SECTION_BYTES: u64 = 2 << 30;
/// Longest chain of types behind a name (`typedef` of `typedef` …).
const MAX_DEPTH: u32 = 16;
/// What type entries are made of. Lines, ranges and locations are never unpacked.
const SECTIONS: [&str; 4] = [".debug_info", ".debug_abbrev", ".debug_str", ".debug_line_str"];
/// The linker's own unit for type entries.
const TYPES_UNIT: &str = "runtime";

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Dwarf<'a> = gimli::Dwarf<Slice<'a>>;
type Entry<'a> = DebuggingInformationEntry<Slice<'a>>;

/// A struct's fields: name, offset, kind.
pub type Structs = HashMap<String, Vec<(String, u64, String)>>;

/// Reads the layouts of the wanted structs.
pub fn structs(file: &[u8], wanted: &HashSet<&str>) -> Result<Structs> {
    let mut out = Structs::new();
    let Ok(elf) = object::File::parse(file) else { return Ok(out) };
    if elf.section_by_name(".debug_info").is_none() {
        return Ok(out);
    }
    let mut sections = HashMap::new();
    for name in SECTIONS {
        sections.insert(name, unpack(&elf, name)?);
    }
    let dwarf = Dwarf::load(|id| {
        let bytes: &[u8] = sections.get(id.name()).map(AsRef::as_ref).unwrap_or_default();
        Ok::<_, gimli::Error>(EndianSlice::new(bytes, LittleEndian))
    });
    dwarf.and_then(|d| read(&d, wanted, &mut out)).map_err(|e| ErrorKind::Missing {
        what: "DWARF",
        why: format!(".debug_info is there but malformed: {e}"),
    })?;
    Ok(out)
}

fn unpack<'a>(elf: &object::File<'a>, name: &str) -> Result<std::borrow::Cow<'a, [u8]>> {
    let Some(section) = elf.section_by_name(name) else { return Ok(Default::default()) };
    let missing = |why: String| ErrorKind::Missing { what: "DWARF", why };
    let data = section.compressed_data().map_err(|e| missing(format!("{name}: {e}")))?;
    let size = data.uncompressed_size;
    if size > MAX_SECTION_BYTES {
        let what = "bytes of an unpacked debug section";
        return Err(ErrorKind::Budget { what, count: size, limit: MAX_SECTION_BYTES });
    }
    data.decompress().map_err(|e| missing(format!("{name}: {e}")))
}

/// A unit with the shapes of its entries.
struct Unit<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    header: UnitHeader<Slice<'a>>,
    abbreviations: Arc<Abbreviations>,
}

fn read(dwarf: &Dwarf<'_>, wanted: &HashSet<&str>, out: &mut Structs) -> gimli::Result<()> {
    let mut others = Vec::new();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let unit = Unit { dwarf, header, abbreviations: dwarf.abbreviations(&header)? };
        let mut entries = unit.header.entries(&unit.abbreviations);
        let root = entries.next_dfs()?.and_then(|root| unit.name(root));
        if root.as_deref() == Some(TYPES_UNIT) {
            unit.scan(wanted, out)?;
        } else {
            others.push(unit);
        }
    }
    for unit in others {
        if out.len() >= wanted.len() {
            break;
        }
        unit.scan(wanted, out)?;
    }
    Ok(())
}

impl<'a> Unit<'_, 'a> {
    fn scan(&self, wanted: &HashSet<&str>, out: &mut Structs) -> gimli::Result<()> {
        let mut entries = self.header.entries(&self.abbreviations);
        let mut inside: Option<(isize, String)> = None;
        let mut fields = Vec::new();
        while let Some(entry) = entries.next_dfs()? {
            let depth = entry.depth();
            if inside.as_ref().is_some_and(|&(at, _)| depth <= at)
                && let Some((_, name)) = inside.take()
            {
                out.insert(name, std::mem::take(&mut fields));
            }
            if inside.is_some() && entry.tag() == gimli::DW_TAG_member {
                fields.extend(self.member(entry));
            } else if entry.tag() == gimli::DW_TAG_structure_type
                && let Some(name) = self.name(entry).filter(|n| wanted.contains(n.as_str()))
            {
                inside = Some((depth, name));
            }
        }
        out.extend(inside.map(|(_, name)| (name, fields)));
        Ok(())
    }

    fn name(&self, entry: &Entry<'a>) -> Option<String> {
        let text = match entry.attr_value(gimli::DW_AT_name)? {
            AttributeValue::String(text) => text,
            AttributeValue::DebugStrRef(at) => self.dwarf.debug_str.get_str(at).ok()?,
            AttributeValue::DebugLineStrRef(at) => self.dwarf.debug_line_str.get_str(at).ok()?,
            _ => return None,
        };
        Some(String::from_utf8_lossy(text.slice()).into_owned())
    }

    fn member(&self, entry: &Entry<'a>) -> Option<(String, u64, String)> {
        let offset = entry.attr_value(gimli::DW_AT_data_member_location)?.udata_value()?;
        let kind = self.type_of(entry, 0).unwrap_or_default();
        Some((self.name(entry)?, offset, kind))
    }

    /// The name of an entry's type, or of what a pointer without a name points to.
    fn type_of(&self, entry: &Entry<'a>, depth: u32) -> Option<String> {
        let at: UnitOffset<usize> = match entry.attr_value(gimli::DW_AT_type)? {
            AttributeValue::UnitRef(at) => at,
            AttributeValue::DebugInfoRef(at) => at.to_unit_offset(&self.header)?,
            _ => return None,
        };
        let found = self.header.entry(&self.abbreviations, at).ok()?;
        if let Some(name) = self.name(&found) {
            return Some(name);
        }
        let unnamed = found.tag() == gimli::DW_TAG_pointer_type && depth < MAX_DEPTH;
        unnamed.then(|| self.type_of(&found, depth + 1).map(|name| format!("*{name}")))?
    }
}
