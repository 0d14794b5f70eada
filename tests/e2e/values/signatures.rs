//! Where DWARF says that a function's parameters lie at its first instruction, read with gimli and nothing of the analyzer's: the
//! second opinion. Of results it tells the types only, so their registers are counted off here.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result};
use gimli::{AttributeValue, EndianSlice, LittleEndian, Operation, UnitOffset};
use object::{Object, ObjectSection};

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Dwarf<'a> = gimli::Dwarf<Slice<'a>>;
type Unit<'a> = gimli::Unit<Slice<'a>>;
type Entry<'a> = gimli::DebuggingInformationEntry<Slice<'a>>;

/// amd64's registers by their numbers in DWARF (System V ABI, figure 3.36).
const AMD64: [&str; 16] = [
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];
/// Result registers in Go's order.
const RESULTS: [&str; 9] = ["rax", "rbx", "rcx", "rdi", "rsi", "r8", "r9", "r10", "r11"];

/// One function.
#[derive(Debug, Default)]
pub struct Signature {
    /// Each parameter's words at the first instruction; nothing where the compiler left no location.
    pub params: Vec<Option<Vec<String>>>,
    /// The names of the results so far: the compiler lists one once more where it moved it.
    seen: HashSet<String>,
    /// Each result's registers; nothing of one that is on the stack, or of floating point.
    pub results: Vec<Option<Vec<String>>>,
}

/// The wanted functions, by linker name.
pub fn read(file: &Path, arch: &str, wanted: &HashSet<String>) -> Result<HashMap<String, Signature>> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    let object = object::File::parse(bytes.as_slice()).context("parse")?;
    let sections = gimli::DwarfSections::load(|id| section(&object, id.name()))?;
    let dwarf = sections.borrow(|data| EndianSlice::new(data, LittleEndian));
    let mut out = HashMap::new();
    let mut units = dwarf.units();
    let mut all = Vec::new();
    while let Some(header) = units.next().context("DWARF: next unit")? {
        all.push(dwarf.unit(header).context("DWARF: unit")?);
    }
    for unit in &all {
        Reading { dwarf: &dwarf, unit, all: &all, arch }.functions(wanted, &mut out)?;
    }
    Ok(out)
}

fn section<'a>(object: &object::File<'a>, name: &str) -> Result<Cow<'a, [u8]>> {
    match object.section_by_name(name) {
        Some(section) => section.uncompressed_data().with_context(|| format!("section {name}")),
        None => Ok(Cow::Borrowed(&[])),
    }
}

#[derive(Clone, Copy)]
struct Reading<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    unit: &'d Unit<'a>,
    all: &'d [Unit<'a>],
    arch: &'d str,
}

impl<'d, 'a> Reading<'d, 'a> {
    fn functions(self, wanted: &HashSet<String>, out: &mut HashMap<String, Signature>) -> Result<()> {
        let mut entries = self.unit.entries();
        let mut inside: Option<(isize, String, u64)> = None;
        while let Some(entry) = entries.next_dfs()? {
            let depth = entry.depth();
            if inside.as_ref().is_some_and(|(at, ..)| depth <= *at) {
                inside = None;
            }
            if entry.tag() == gimli::DW_TAG_subprogram {
                let low = match entry.attr_value(gimli::DW_AT_low_pc) {
                    Some(value) => self.dwarf.attr_address(self.unit, value)?,
                    None => None,
                };
                let (Some(low), Some(name)) = (low, self.name(entry)?) else { continue };
                if wanted.contains(&name) {
                    out.insert(name.clone(), Signature::default());
                    inside = Some((depth, name, low));
                }
            } else if let Some((at, name, low)) = &inside
                && entry.tag() == gimli::DW_TAG_formal_parameter
                && depth == at + 1
            {
                let signature = out.entry(name.clone()).or_default();
                if self.is_result(entry)? {
                    let name = self.name(entry)?.unwrap_or_default();
                    if name != "_" && !signature.seen.insert(name) {
                        continue;
                    }
                    let used = signature.results.iter().flatten().map(Vec::len).sum();
                    let result = self.result(entry, used)?;
                    signature.results.push(result);
                } else {
                    signature.params.push(self.place(entry, *low)?);
                }
            }
        }
        Ok(())
    }

    /// Where an entry's `DW_AT_abstract_origin` or `DW_AT_type` leads.
    fn follow(self, entry: &Entry<'a>, attribute: gimli::DwAt) -> Result<Option<(Self, Entry<'a>)>> {
        let Some(value) = entry.attr_value(attribute) else { return Ok(None) };
        let (unit, at) = match value {
            AttributeValue::UnitRef(at) => (self.unit, at),
            AttributeValue::DebugInfoRef(at) => {
                let unit = self.all.iter().find_map(|unit| Some((unit, at.to_unit_offset(&unit.header)?)));
                unit.context("a reference into no unit")?
            }
            other => anyhow::bail!("a reference of the form {other:?}"),
        };
        let at: UnitOffset = at;
        Ok(Some((Self { unit, ..self }, unit.entry(at)?)))
    }

    fn name(self, entry: &Entry<'a>) -> Result<Option<String>> {
        if let Some(value) = entry.attr_value(gimli::DW_AT_name) {
            return Ok(Some(self.dwarf.attr_string(self.unit, value)?.to_string_lossy().into_owned()));
        }
        match self.follow(entry, gimli::DW_AT_abstract_origin)? {
            Some((there, origin)) => there.name(&origin),
            None => Ok(None),
        }
    }

    fn is_result(self, entry: &Entry<'a>) -> Result<bool> {
        match (
            entry.attr_value(gimli::DW_AT_variable_parameter),
            self.follow(entry, gimli::DW_AT_abstract_origin)?,
        ) {
            (Some(AttributeValue::Flag(flag)), _) => Ok(flag),
            (None, Some((there, origin))) => there.is_result(&origin),
            _ => Ok(false),
        }
    }

    /// The words of a parameter at the function's first instruction.
    fn place(self, entry: &Entry<'a>, low: u64) -> Result<Option<Vec<String>>> {
        let Some(value) = entry.attr_value(gimli::DW_AT_location) else { return Ok(None) };
        let expression = match value {
            AttributeValue::Exprloc(expression) => Some(expression),
            list => {
                let mut found = None;
                if let Some(mut locations) = self.dwarf.attr_locations(self.unit, list)? {
                    while let Some(location) = locations.next()? {
                        if location.range.begin <= low && low < location.range.end {
                            found = Some(location.data);
                        }
                    }
                }
                found
            }
        };
        let Some(expression) = expression else { return Ok(None) };
        let mut words = Vec::new();
        let mut operations = expression.operations(self.unit.encoding());
        let mut next = None;
        let mut constant = 0;
        while let Some(operation) = operations.next()? {
            match operation {
                Operation::Register { register } => next = self.register(register.0),
                Operation::CallFrameCFA => next = Some(self.above_cfa(0)),
                Operation::FrameOffset { offset } => next = Some(self.above_cfa(offset)),
                Operation::SignedConstant { value } => constant = value,
                Operation::UnsignedConstant { value } => constant = i64::try_from(value)?,
                Operation::Plus => next = Some(self.above_cfa(constant)),
                Operation::PlusConstant { value } => next = Some(self.above_cfa(i64::try_from(value)?)),
                Operation::Piece { .. } => words.push(next.take().unwrap_or_default()),
                _ => return Ok(None),
            }
        }
        words.extend(next);
        // A piece without a place is one that the compiler dropped.
        Ok((!words.is_empty() && words.iter().all(|word| !word.is_empty())).then_some(words))
    }

    fn register(self, number: u16) -> Option<String> {
        match self.arch {
            "amd64" => AMD64.get(usize::from(number)).map(|name| (*name).to_owned()),
            _ => Some(format!("r{number}")),
        }
    }

    /// The frame's address is the stack pointer before the call: on amd64 a word above it at the first instruction.
    fn above_cfa(self, offset: i64) -> String {
        format!("sp+{}", offset + if self.arch == "amd64" { 8 } else { 0 })
    }

    /// The registers of a result behind so many others.
    fn result(self, entry: &Entry<'a>, used: usize) -> Result<Option<Vec<String>>> {
        let of = match self.follow(entry, gimli::DW_AT_type)? {
            Some(found) => Some(found),
            None => match self.follow(entry, gimli::DW_AT_abstract_origin)? {
                Some((there, origin)) => there.follow(&origin, gimli::DW_AT_type)?,
                None => None,
            },
        };
        let Some((there, kind)) = of else { return Ok(None) };
        let Some(words) = there.words(&kind, 0)? else { return Ok(None) };
        let limit = if self.arch == "amd64" { 9 } else { 16 };
        if used + words > limit {
            return Ok(None);
        }
        let name = |at: usize| match self.arch {
            "amd64" => RESULTS.get(at).map(|name| (*name).to_owned()),
            _ => Some(format!("r{at}")),
        };
        Ok((used..used + words).map(name).collect())
    }

    /// How many integers and pointers a value has; none of floating point, or of an array.
    fn words(self, kind: &Entry<'a>, depth: u8) -> Result<Option<usize>> {
        if depth > 16 {
            return Ok(None);
        }
        match kind.tag() {
            gimli::DW_TAG_typedef => match self.follow(kind, gimli::DW_AT_type)? {
                Some((there, inner)) => there.words(&inner, depth + 1),
                None => Ok(None),
            },
            gimli::DW_TAG_pointer_type | gimli::DW_TAG_subroutine_type => Ok(Some(1)),
            gimli::DW_TAG_base_type => {
                let encoding = kind.attr_value(gimli::DW_AT_encoding);
                let float = [gimli::DW_ATE_float, gimli::DW_ATE_complex_float].map(AttributeValue::Encoding);
                Ok((!encoding.is_some_and(|encoding| float.contains(&encoding))).then_some(1))
            }
            gimli::DW_TAG_structure_type => {
                let mut tree = self.unit.entries_tree(Some(kind.offset()))?;
                let mut children = tree.root()?.children();
                let mut sum = 0;
                while let Some(child) = children.next()? {
                    let entry = child.entry();
                    if entry.tag() != gimli::DW_TAG_member {
                        continue;
                    }
                    let Some((there, member)) = self.follow(entry, gimli::DW_AT_type)? else {
                        return Ok(None);
                    };
                    let Some(words) = there.words(&member, depth + 1)? else { return Ok(None) };
                    sum += words;
                }
                Ok(Some(sum))
            }
            _ => Ok(None),
        }
    }
}
