//! Struct layouts from DWARF, where a binary still has it.
//!
//! Go's linker puts all type entries into the unit of package `runtime`, below its root. So that unit is read first, and the
//! others only while a wanted struct has not been seen. What that may cost is bounded: see [`limits`].

mod limits;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gimli::{
    Abbreviations, AttributeValue, DebuggingInformationEntry, EndianSlice, LittleEndian, Section as _,
    UnitHeader, UnitOffset,
};
use object::{Object as _, ObjectSection as _};
use offsets::names;

use crate::bytes;
use crate::error::{ErrorKind, Result};
use limits::{Costs, Slice, Unpacked};

/// Longest name of a member or its type that is read. Names are looked at no further than they can be wanted: else one long
/// string could be gone through for each entry.
const MAX_NAME_BYTES: usize = 1 << 14;
/// Longest chain of types behind a name (`typedef` of `typedef` …).
const MAX_DEPTH: usize = 16;
/// What type entries are made of. Lines, ranges and locations are never unpacked.
const SECTIONS: [&str; 4] = [".debug_info", ".debug_abbrev", ".debug_str", ".debug_line_str"];
/// The linker's own unit for type entries.
const TYPES_UNIT: &str = "runtime";

type Dwarf<'a> = gimli::Dwarf<Slice<'a>>;
type Entry<'a> = DebuggingInformationEntry<Slice<'a>>;

/// A struct's fields: name, offset, kind.
type Members = Vec<(String, u64, String)>;

/// The layouts that were found.
#[derive(Debug, Default)]
pub struct Structs {
    /// By the struct's name; of several that differ the first.
    pub fields: HashMap<String, Members>,
    /// Bytes of a value, by the struct's name.
    pub sizes: HashMap<String, u64>,
    /// Names that several structs have which differ: none of them can be told to be the one that is wanted.
    pub ambiguous: HashSet<String>,
}

/// A struct whose members are being read.
struct Begun {
    depth: isize,
    name: String,
    size: Option<u64>,
}

impl Structs {
    fn add(&mut self, Begun { name, size, .. }: Begun, fields: Members) {
        let other_size = self.sizes.get(&name).copied().zip(size).is_some_and(|(known, size)| known != size);
        self.sizes.extend(size.map(|size| (name.clone(), size)));
        if other_size || self.fields.get(&name).is_some_and(|known| *known != fields) {
            self.ambiguous.insert(name);
        } else {
            self.fields.insert(name, fields);
        }
    }
}

/// Reads the layouts of the wanted structs.
pub fn structs(file: &[u8], wanted: &HashSet<&str>) -> Result<Structs> {
    let mut out = Structs::default();
    let Ok(elf) = object::File::parse(file) else { return Ok(out) };
    if elf.section_by_name(".debug_info").is_none() {
        return Ok(out);
    }
    let mut sections = HashMap::new();
    let mut unpacked = Unpacked::of(file);
    for name in SECTIONS {
        sections.insert(name, unpack(&elf, name, &mut unpacked)?);
    }
    let dwarf = Dwarf::load(|id| {
        let bytes: &[u8] = sections.get(id.name()).map(AsRef::as_ref).unwrap_or_default();
        Ok::<_, gimli::Error>(EndianSlice::new(bytes, LittleEndian))
    })
    .map_err(malformed)?;
    // The dots of an import path's last word are three bytes each.
    let longest = wanted.iter().map(|name| name.len() + 2 * name.matches('.').count()).max().unwrap_or(0);
    Reading { dwarf: &dwarf, wanted, tables: HashMap::new(), costs: Costs::default(), longest }
        .read(&mut out)?;
    Ok(out)
}

fn malformed(error: gimli::Error) -> ErrorKind {
    ErrorKind::Missing { what: "DWARF", why: format!(".debug_info is there but malformed: {error}") }
}

fn unpack<'a>(
    elf: &object::File<'a>,
    name: &str,
    unpacked: &mut Unpacked,
) -> Result<std::borrow::Cow<'a, [u8]>> {
    let Some(section) = elf.section_by_name(name) else { return Ok(Default::default()) };
    let missing = |why: String| ErrorKind::Missing { what: "DWARF", why };
    let data = section.compressed_data().map_err(|e| missing(format!("{name}: {e}")))?;
    // Before it is unpacked, for `decompress` allocates what the header promises.
    if data.format != object::CompressionFormat::None {
        unpacked.add(data.uncompressed_size)?;
    }
    data.decompress().map_err(|e| missing(format!("{name}: {e}")))
}

/// What is read, with what it has cost.
struct Reading<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    wanted: &'d HashSet<&'d str>,
    /// By offset in `.debug_abbrev`: in Go's DWARF all units share one.
    tables: HashMap<usize, Arc<Abbreviations>>,
    costs: Costs,
    /// Length of the longest name that is looked for.
    longest: usize,
}

impl<'a> Reading<'_, 'a> {
    fn read(mut self, out: &mut Structs) -> Result<()> {
        let mut others = Vec::new();
        let mut units = self.dwarf.units();
        while let Some(header) = units.next().map_err(malformed)? {
            self.costs.unit()?;
            let table = self.table(&header)?;
            let mut entries = header.entries(&table);
            let root = entries.next_dfs().map_err(malformed)?;
            self.costs.entry(root.map(|r| r.attrs.as_slice()))?;
            if root.and_then(|root| self.name(root, TYPES_UNIT.len())) == Some(TYPES_UNIT.as_bytes()) {
                self.scan(&header, out)?;
            } else {
                // The header alone: units are small and many.
                others.push(header);
            }
        }
        for header in others {
            if out.fields.len() >= self.wanted.len() {
                break;
            }
            self.scan(&header, out)?;
        }
        Ok(())
    }

    /// The shapes of a unit's entries.
    fn table(&mut self, header: &UnitHeader<Slice<'a>>) -> Result<Arc<Abbreviations>> {
        let at = header.debug_abbrev_offset();
        if let Some(table) = self.tables.get(&at.0) {
            return Ok(Arc::clone(table));
        }
        self.costs.table(self.dwarf.debug_abbrev.reader().slice(), at.0)?;
        let table = Arc::new(self.dwarf.debug_abbrev.abbreviations(at).map_err(malformed)?);
        self.tables.insert(at.0, Arc::clone(&table));
        Ok(table)
    }

    fn scan(&mut self, header: &UnitHeader<Slice<'a>>, out: &mut Structs) -> Result<()> {
        let table = self.table(header)?;
        let unit = Unit { header, table: &table };
        let mut entries = header.entries(&table);
        let mut inside: Option<Begun> = None;
        let mut fields = Vec::new();
        while let Some(entry) = entries.next_dfs().map_err(malformed)? {
            self.costs.entry(Some(&entry.attrs))?;
            let depth = entry.depth();
            if inside.as_ref().is_some_and(|begun| depth <= begun.depth)
                && let Some(begun) = inside.take()
            {
                out.add(begun, std::mem::take(&mut fields));
            }
            if inside.is_some() && entry.tag() == gimli::DW_TAG_member {
                fields.extend(self.member(unit, entry)?);
            } else if entry.tag() == gimli::DW_TAG_structure_type
                && let Some(name) = self.wanted_name(entry)
            {
                let size = entry.attr_value(gimli::DW_AT_byte_size).and_then(|size| size.udata_value());
                inside = Some(Begun { depth, name, size });
            }
        }
        if let Some(begun) = inside {
            out.add(begun, fields);
        }
        Ok(())
    }

    /// An entry's name, unless it is longer than that.
    fn name(&self, entry: &Entry<'a>, longest: usize) -> Option<&'a [u8]> {
        let at = |section: Slice<'a>, at| bytes::until_nul(section.slice(), at, longest.saturating_add(1));
        match entry.attr_value(gimli::DW_AT_name)? {
            AttributeValue::String(text) => Some(text.slice()).filter(|t| t.len() <= longest),
            AttributeValue::DebugStrRef(o) => at(*self.dwarf.debug_str.reader(), o.0),
            AttributeValue::DebugLineStrRef(o) => at(*self.dwarf.debug_line_str.reader(), o.0),
            _ => None,
        }
    }

    fn wanted_name(&self, entry: &Entry<'a>) -> Option<String> {
        let name = names::plain_text(std::str::from_utf8(self.name(entry, self.longest)?).ok()?);
        self.wanted.contains(&*name).then(|| name.into_owned())
    }

    fn member(&mut self, unit: Unit<'_, 'a>, entry: &Entry<'a>) -> Result<Option<(String, u64, String)>> {
        let offset = entry.attr_value(gimli::DW_AT_data_member_location).and_then(|v| v.udata_value());
        let name = self.name(entry, MAX_NAME_BYTES);
        let kind = self.type_of(unit, entry)?;
        // A name that was not found may have been looked for all that far.
        let name_cost = name.map_or(MAX_NAME_BYTES, <[u8]>::len);
        self.costs.member(name_cost.saturating_add(kind.as_ref().map_or(MAX_NAME_BYTES, String::len)))?;
        let (Some(offset), Some(name)) = (offset, name) else { return Ok(None) };
        Ok(Some((String::from_utf8_lossy(name).into_owned(), offset, kind.unwrap_or_default())))
    }

    /// The name of an entry's type, or of what a pointer without a name points to.
    fn type_of(&mut self, unit: Unit<'_, 'a>, entry: &Entry<'a>) -> Result<Option<String>> {
        let mut next = unit.type_at(entry);
        for depth in 0..=MAX_DEPTH {
            let Some(found) = next.and_then(|at| unit.header.entry(unit.table, at).ok()) else { break };
            self.costs.entry(Some(&found.attrs))?;
            if found.attr_value(gimli::DW_AT_name).is_some() {
                let name = self.name(&found, MAX_NAME_BYTES);
                let spell = |name| "*".repeat(depth) + &String::from_utf8_lossy(&names::plain(name));
                return Ok(name.map(spell));
            }
            next = unit.type_at(&found).filter(|_| found.tag() == gimli::DW_TAG_pointer_type);
        }
        Ok(None)
    }
}

/// A unit with the shapes of its entries.
#[derive(Clone, Copy)]
struct Unit<'u, 'a> {
    header: &'u UnitHeader<Slice<'a>>,
    table: &'u Abbreviations,
}

impl<'a> Unit<'_, 'a> {
    /// Where the entry of an entry's type is.
    fn type_at(&self, entry: &Entry<'a>) -> Option<UnitOffset<usize>> {
        match entry.attr_value(gimli::DW_AT_type)? {
            AttributeValue::UnitRef(at) => Some(at),
            AttributeValue::DebugInfoRef(at) => at.to_unit_offset(self.header),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
