//! Type descriptors, which Go keeps for reflection and no `strip` removes.
//!
//! | at | of `abi.Type` (48 bytes) |
//! |---|---|
//! | 0 | size |
//! | 20 | tflag: 1 uncommon, 2 extra star, 4 named |
//! | 23 | kind, low 5 bits |
//! | 40 | name, i32 from `types` |
//! | 44 | pointer to this, i32 from `types`, 0 none |
//!
//! | kind | behind it | base |
//! |---|---|---|
//! | pointer, slice | elem @48 | 56 |
//! | array | elem @48, slice @56, len @64 | 72 |
//! | chan | elem @48, direction @56 | 64 |
//! | func | in u16 @48, out u16 @50, then their types behind uncommon | 56 |
//! | interface | package @48, methods slice @56 of `{i32 name, i32 type}` | 80 |
//! | map | key @48, elem @56, group or bucket @64, … | 88, 112, 136 |
//! | struct | package @48, fields slice @56 of `{name, type, offset}` | 80 |
//!
//! `uncommon` at the base: package i32, mcount u16, xcount u16, moff u32. A method: name, type, ifn, tfn i32.
//! A name: flags u8, uvarint length, bytes.

use super::moduledata::ModuleData;
use crate::bytes;
use crate::error::{ErrorKind, Result};
use crate::image::Image;

/// Longest type name that is read.
const MAX_NAME_BYTES: u64 = 1 << 14;
/// Deepest nesting of a composite type's name.
const MAX_DEPTH: u32 = 16;
/// Longest full name that is put together.
const MAX_FULL_NAME_BYTES: usize = 1 << 16;
/// Most bytes that are read and written for all full names of one file together; those of all structs in a binary of
/// 185 MB take 3 million.
const MAX_NAMES_BYTES: u64 = 1 << 26;
/// Most fields, methods or parameters of a type that are read.
pub(super) const MAX_MEMBERS: u64 = 1 << 14;

const UNCOMMON: u8 = 1;
const EXTRA_STAR: u8 = 2;
const NAMED: u8 = 4;
/// Top bit of a function's number of results.
const VARIADIC: u16 = 0x8000;

/// Go's kinds, as far as descriptors differ by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are Go's own words")]
pub enum Kind {
    Basic,
    Array,
    Chan,
    Func,
    Interface,
    Map,
    Pointer,
    Slice,
    Struct,
}

/// A descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type<'a> {
    /// Where it is.
    pub vaddr: u64,
    /// What it describes.
    pub kind: Kind,
    /// From the descriptor to the end of the segment.
    bytes: &'a [u8],
    tflag: u8,
}

/// A field of a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Address of its type.
    pub type_vaddr: u64,
    /// From the start of the struct.
    pub offset: u64,
}

/// The type data of an image.
#[derive(Debug, Clone, Copy)]
pub struct Types<'a> {
    pub(super) image: &'a Image<'a>,
    pub(super) module: &'a ModuleData,
}

impl<'a> Types<'a> {
    /// Opens the type data.
    pub fn new(image: &'a Image<'a>, module: &'a ModuleData) -> Self {
        Types { image, module }
    }

    /// The descriptor at an address, which must lie in the type data.
    pub fn get(&self, vaddr: u64) -> Option<Type<'a>> {
        if !vaddr.is_multiple_of(8) || vaddr < self.module.types || vaddr >= self.module.etypes {
            return None;
        }
        let bytes = self.image.tail(vaddr)?;
        let kind = match bytes::u8(bytes, 23)? & 0x1f {
            1..=16 | 24 | 26 => Kind::Basic,
            17 => Kind::Array,
            18 => Kind::Chan,
            19 => Kind::Func,
            20 => Kind::Interface,
            21 => Kind::Map,
            22 => Kind::Pointer,
            23 => Kind::Slice,
            25 => Kind::Struct,
            _ => return None,
        };
        Some(Type { vaddr, kind, bytes, tflag: bytes::u8(bytes, 20)? })
    }

    /// The descriptor at an offset from the start of the type data.
    pub(super) fn at_offset(&self, offset: i32) -> Option<u64> {
        self.module.types.checked_add(u64::try_from(offset).ok()?)
    }

    /// The name at an address.
    pub fn name_at(&self, vaddr: u64) -> Option<&'a [u8]> {
        let bytes = self.image.tail(vaddr)?;
        let mut at = 1;
        let len = bytes::uvarint(bytes, &mut at).filter(|&l| l <= MAX_NAME_BYTES)?;
        bytes.get(at..at.checked_add(usize::try_from(len).ok()?)?)
    }

    /// As `reflect` prints it: only the last element of the import path (`http.Request`).
    pub fn short_name(&self, t: &Type<'_>) -> Option<&'a [u8]> {
        let name = self.name_at(self.at_offset(bytes::i32(t.bytes, 40)?)?)?;
        if t.tflag & EXTRA_STAR != 0 { name.strip_prefix(b"*") } else { Some(name) }
    }

    /// With full import paths (`*net/http.Request`), as DWARF spells it.
    pub fn full_name(&self, vaddr: u64) -> Option<String> {
        self.full_name_within(vaddr, &mut NameBudget::default()).ok()?
    }

    /// The same, at the expense of a budget: descriptors share names and parts, so that all names of a small file may be
    /// gigabytes together.
    pub fn full_name_within(&self, vaddr: u64, budget: &mut NameBudget) -> Result<Option<String>> {
        let mut builder = Builder { out: String::new(), budget };
        let written = self.write_name(vaddr, 0, &mut builder);
        let name = written.map(|()| builder.out);
        budget.check()?;
        Ok(name)
    }

    /// Whether this is the type's full name; nothing is put together, the first difference ends it.
    pub fn has_full_name(&self, vaddr: u64, name: &str) -> bool {
        let mut rest = Matcher { rest: name.as_bytes() };
        self.write_name(vaddr, 0, &mut rest).is_some() && rest.rest.is_empty()
    }

    /// Whether this is `map[K]V` of a map type, a defined one included.
    pub fn has_underlying_name(&self, t: &Type<'_>, name: &str) -> bool {
        let mut rest = Matcher { rest: name.as_bytes() };
        t.kind == Kind::Map && self.write_map(t, 0, &mut rest).is_some() && rest.rest.is_empty()
    }

    /// Ends with `None` when there is no such name, or when `out` wants no more of it.
    pub(super) fn write_name(&self, vaddr: u64, depth: u32, out: &mut impl Sink) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        let t = self.get(vaddr)?;
        if t.is_named() {
            return self.write_defined(&t, out);
        }
        let depth = depth + 1;
        match t.kind {
            Kind::Pointer => out.put(b"*")?,
            Kind::Slice => out.put(b"[]")?,
            Kind::Array => out.put(format!("[{}]", bytes::u64(t.bytes, 64)?).as_bytes())?,
            Kind::Chan => out.put(match bytes::u64(t.bytes, 56)? {
                1 => b"<-chan ",
                2 => b"chan<- ",
                _ => b"chan ",
            })?,
            Kind::Map => return self.write_map(&t, depth, out),
            Kind::Func => {
                out.put(b"func")?;
                return self.write_signature(&t, depth, out);
            }
            // Member by member: the descriptor's own text is reflect's spelling, which names no import paths.
            Kind::Struct => return self.write_struct(&t, depth, out),
            Kind::Interface => return self.write_interface(&t, depth, out),
            Kind::Basic => return out.put(self.short_name(&t)?),
        }
        self.write_name(self.elem(&t)?, depth, out)
    }

    fn write_map(&self, t: &Type<'_>, depth: u32, out: &mut impl Sink) -> Option<()> {
        out.put(b"map[")?;
        self.write_name(self.key(t)?, depth, out)?;
        out.put(b"]")?;
        self.write_name(self.elem(t)?, depth, out)
    }

    /// Parameters and results, from the parenthesis on.
    pub(super) fn write_signature(&self, t: &Type<'_>, depth: u32, out: &mut impl Sink) -> Option<()> {
        let (start, len) = self.parameters(t)?;
        let ins = u64::from(bytes::u16(t.bytes, 48)?);
        let variadic = bytes::u16(t.bytes, 50)? & VARIADIC != 0;
        let outs = len.checked_sub(ins)?;
        let at = |i: u64| self.image.pointer(start.checked_add(i * 8)?);
        out.put(b"(")?;
        for i in 0..ins {
            out.put(if i > 0 { b", " } else { b"" })?;
            if variadic && i + 1 == ins {
                out.put(b"...")?;
                self.write_name(self.elem(&self.get(at(i)?)?)?, depth, out)?;
            } else {
                self.write_name(at(i)?, depth, out)?;
            }
        }
        out.put(match outs {
            0 => b")",
            1 => b") ",
            _ => b") (",
        })?;
        for i in ins..len {
            out.put(if i > ins { b", " } else { b"" })?;
            self.write_name(at(i)?, depth, out)?;
        }
        out.put(if outs > 1 { b")" } else { b"" })
    }

    /// A defined type: its package's import path in place of the package's name.
    fn write_defined(&self, t: &Type<'_>, out: &mut impl Sink) -> Option<()> {
        let short = self.short_name(t)?;
        let package = self.package(t).unwrap_or_default();
        out.charge(short.len());
        // What stands in brackets are type arguments, with paths of their own.
        let end = memchr::memchr2(b'.', b'[', short);
        match end.and_then(|at| short.get(at..)) {
            Some(rest) if rest.starts_with(b".") && !package.is_empty() => {
                out.put(package)?;
                out.put(rest)
            }
            _ => out.put(short),
        }
    }

    /// The import path of a defined type's package; empty for predeclared types.
    pub fn package(&self, t: &Type<'_>) -> Option<&'a [u8]> {
        let uncommon = self.uncommon(t)?;
        self.name_at(self.at_offset(self.image.tail(uncommon).and_then(|b| bytes::i32(b, 0))?)?)
    }

    /// Address of the part that types with a name or with methods have.
    pub(super) fn uncommon(&self, t: &Type<'_>) -> Option<u64> {
        (t.tflag & UNCOMMON != 0).then(|| t.vaddr.checked_add(self.base_size(t)))?
    }

    /// Size of the descriptor without what follows it.
    pub(super) fn base_size(&self, t: &Type<'_>) -> u64 {
        match t.kind {
            Kind::Basic => 48,
            Kind::Pointer | Kind::Slice | Kind::Func => 56,
            Kind::Chan => 64,
            Kind::Array => 72,
            Kind::Interface | Kind::Struct => 80,
            Kind::Map => super::maps::descriptor_size(self, t),
        }
    }

    fn pointer(&self, t: &Type<'_>, at: u64) -> Option<u64> {
        self.image.pointer(t.vaddr.checked_add(at)?)
    }

    /// The element of a pointer, slice, array, chan or map.
    pub fn elem(&self, t: &Type<'_>) -> Option<u64> {
        self.pointer(t, if t.kind == Kind::Map { 56 } else { 48 })
    }

    /// The key of a map.
    pub fn key(&self, t: &Type<'_>) -> Option<u64> {
        self.pointer(t, 48)
    }

    /// The bucket or group of a map.
    pub(super) fn group(&self, t: &Type<'_>) -> Option<u64> {
        self.pointer(t, 64)
    }

    /// The pointer type to this type, when it has a descriptor.
    pub(super) fn pointer_to(&self, t: &Type<'_>) -> Option<u64> {
        bytes::i32(t.bytes, 44).filter(|&o| o != 0).and_then(|o| self.at_offset(o))
    }

    /// Where the types of a function's parameters and results stand, and how many there are.
    pub(super) fn parameters(&self, t: &Type<'_>) -> Option<(u64, u64)> {
        let (ins, outs) = (bytes::u16(t.bytes, 48)?, bytes::u16(t.bytes, 50)? & !VARIADIC);
        let start = t.vaddr.checked_add(56 + if t.tflag & UNCOMMON != 0 { 16 } else { 0 })?;
        Some((start, u64::from(ins) + u64::from(outs)))
    }

    /// The slice at +56 of a struct or an interface.
    pub(super) fn members(&self, t: &Type<'_>) -> Option<(u64, u64)> {
        let len = bytes::u64(t.bytes, 64).filter(|&n| n <= MAX_MEMBERS)?;
        Some((self.pointer(t, 56)?, len))
    }

    /// The fields of a struct.
    pub fn fields(&self, t: &Type<'_>) -> impl Iterator<Item = Field<'a>> + '_ {
        let (start, len) = if t.kind == Kind::Struct { self.members(t).unwrap_or((0, 0)) } else { (0, 0) };
        (0..len).map_while(move |i| {
            let at = start.checked_add(i * 24)?;
            let word = self.image.word(at.checked_add(16)?)?;
            // 1.18 keeps (offset << 1 | embedded).
            let offset = if self.module.doubled_offsets { word >> 1 } else { word };
            let type_vaddr = self.image.pointer(at.checked_add(8)?)?;
            Some(Field { name: self.name_at(self.image.pointer(at)?)?, type_vaddr, offset })
        })
    }
}

impl<'a> Type<'a> {
    /// Whether it is a defined (or predeclared) type.
    pub fn is_named(&self) -> bool {
        self.tflag & NAMED != 0
    }

    /// Size of a value in bytes.
    pub fn size(&self) -> u64 {
        bytes::u64(self.bytes, 0).unwrap_or(0)
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// What may still be spent on full names: one for a whole file.
#[derive(Debug, Default)]
pub struct NameBudget {
    spent: u64,
}

impl NameBudget {
    fn check(&self) -> Result<()> {
        if self.spent > MAX_NAMES_BYTES {
            return Err(ErrorKind::Budget {
                what: "bytes of type names",
                count: self.spent,
                limit: MAX_NAMES_BYTES,
            });
        }
        Ok(())
    }
}

/// Where a full name goes, part by part.
pub(super) trait Sink {
    /// The next part; `None` when no more is wanted.
    fn put(&mut self, part: &[u8]) -> Option<()>;
    /// So many bytes were read, which need not appear in the name.
    fn charge(&mut self, _len: usize) {}
}

/// Puts a name together.
struct Builder<'b> {
    out: String,
    budget: &'b mut NameBudget,
}

impl Sink for Builder<'_> {
    fn put(&mut self, part: &[u8]) -> Option<()> {
        self.charge(part.len());
        if self.out.len() > MAX_FULL_NAME_BYTES || self.budget.check().is_err() {
            return None;
        }
        self.out.push_str(&String::from_utf8_lossy(part));
        Some(())
    }

    fn charge(&mut self, len: usize) {
        self.budget.spent = self.budget.spent.saturating_add(len as u64);
    }
}

/// Holds a name against a text, and ends at the first difference.
struct Matcher<'n> {
    rest: &'n [u8],
}

impl Sink for Matcher<'_> {
    fn put(&mut self, part: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(part)?;
        Some(())
    }
}
