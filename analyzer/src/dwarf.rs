//! Struct layouts from DWARF, where a binary still has it.
//!
//! Go's linker puts all type entries into the unit of package `runtime`, below its root. So that unit is read first, and the
//! others only while a wanted struct has not been seen. Compressed sections are unpacked up to a limit.

use std::collections::{HashMap, HashSet};

use gimli::{AttributeValue, DebuggingInformationEntry, EndianSlice, LittleEndian, Reader as _, Unit, UnitOffset};
use object::{Object as _, ObjectSection as _};

use crate::error::{ErrorKind, Result};

/// Most bytes that a debug section may have when unpacked.
const MAX_SECTION_BYTES: u64 = 2 << 30;
/// Longest chain of types behind a name (`typedef` of `typedef` …).
const MAX_DEPTH: u32 = 16;
/// The linker's own unit for type entries.
const TYPES_UNIT: &[u8] = b"runtime";

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
    for name in [".debug_info", ".debug_abbrev", ".debug_str", ".debug_line_str", ".debug_str_offsets"] {
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

fn read(dwarf: &Dwarf<'_>, wanted: &HashSet<&str>, out: &mut Structs) -> gimli::Result<()> {
    let mut others = Vec::new();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let unit = dwarf.unit(header)?;
        if unit.name.is_some_and(|n| n.slice() == TYPES_UNIT) {
            scan(dwarf, &unit, wanted, out)?;
        } else {
            others.push(header);
        }
    }
    for header in others {
        if out.len() >= wanted.len() {
            break;
        }
        scan(dwarf, &dwarf.unit(header)?, wanted, out)?;
    }
    Ok(())
}

fn scan<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<Slice<'a>>,
    wanted: &HashSet<&str>,
    out: &mut Structs,
) -> gimli::Result<()> {
    let mut entries = unit.entries();
    let mut inside: Option<(isize, String)> = None;
    let mut fields = Vec::new();
    while let Some(entry) = entries.next_dfs()? {
        let depth = entry.depth();
        if let Some((at, _)) = &inside
            && depth <= *at
            && let Some((_, name)) = inside.take()
        {
            out.insert(name, std::mem::take(&mut fields));
        }
        if inside.is_some() && entry.tag() == gimli::DW_TAG_member {
            fields.extend(member(dwarf, unit, entry));
        } else if entry.tag() == gimli::DW_TAG_structure_type
            && let Some(name) = name(dwarf, unit, entry).filter(|n| wanted.contains(n.as_str()))
        {
            inside = Some((depth, name));
        }
    }
    if let Some((_, name)) = inside {
        out.insert(name, fields);
    }
    Ok(())
}

fn name<'a>(dwarf: &Dwarf<'a>, unit: &Unit<Slice<'a>>, entry: &Entry<'a>) -> Option<String> {
    let value = entry.attr_value(gimli::DW_AT_name)?;
    let text = dwarf.attr_string(unit, value).ok()?;
    Some(String::from_utf8_lossy(text.slice()).into_owned())
}

fn member<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<Slice<'a>>,
    entry: &Entry<'a>,
) -> Option<(String, u64, String)> {
    let offset = entry.attr_value(gimli::DW_AT_data_member_location)?.udata_value()?;
    let kind = match entry.attr_value(gimli::DW_AT_type)? {
        AttributeValue::UnitRef(at) => type_name(dwarf, unit, at, 0),
        _ => None,
    };
    Some((name(dwarf, unit, entry)?, offset, kind.unwrap_or_default()))
}

/// The name of a type, or of what a pointer without a name points to.
fn type_name<'a>(
    dwarf: &Dwarf<'a>,
    unit: &Unit<Slice<'a>>,
    at: UnitOffset<usize>,
    depth: u32,
) -> Option<String> {
    let entry = unit.entry(at).ok()?;
    if let Some(name) = name(dwarf, unit, &entry) {
        return Some(name);
    }
    match entry.attr_value(gimli::DW_AT_type)? {
        AttributeValue::UnitRef(at) if entry.tag() == gimli::DW_TAG_pointer_type && depth < MAX_DEPTH => {
            Some(format!("*{}", type_name(dwarf, unit, at, depth + 1)?))
        }
        _ => None,
    }
}
