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

use crate::bytes;
use crate::go::moduledata::ModuleData;
use crate::go::release::SwissMap;
use crate::image::Image;

/// Longest type name that is read.
const MAX_NAME_BYTES: u64 = 1 << 14;
/// Most fields, methods or parameters of a type that are read.
pub(super) const MAX_MEMBERS: u64 = 1 << 14;

/// A field's entry: name, type, offset.
pub(super) const FIELD_BYTES: u64 = 24;

const UNCOMMON: u8 = 1;
const EXTRA_STAR: u8 = 2;
const NAMED: u8 = 4;
/// Top bit of a function's number of results.
pub(super) const VARIADIC: u16 = 0x8000;

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

/// A descriptor. Two are the same where their addresses are, as of functions.
#[derive(Debug, Clone, Copy)]
pub struct Type<'a> {
    /// Where it is.
    pub vaddr: u64,
    /// What it describes.
    pub kind: Kind,
    /// From the descriptor to the end of the segment.
    pub(super) bytes: &'a [u8],
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
    /// Whether it is embedded, so that its methods are the struct's.
    pub embedded: bool,
}

/// The flag of a member's name that is embedded.
pub(super) const EMBEDDED: u8 = 8;

/// The type data of an image.
#[derive(Debug, Clone, Copy)]
pub struct Types<'a> {
    image: &'a Image<'a>,
    pub(super) module: &'a ModuleData,
    /// From the start of the type data on. Millions of reads go here, and need not ask for the segment each time.
    data: &'a [u8],
    /// How many bytes of it no other segment has a claim to.
    len: u64,
    /// Whether relocation writes any word of the image.
    is_relocated: bool,
}

impl<'a> Types<'a> {
    /// Opens the type data.
    pub fn new(image: &'a Image<'a>, module: &'a ModuleData) -> Self {
        let (data, len) = image.window(module.types).unwrap_or_default();
        Types { image, module, data, len, is_relocated: image.relocated().next().is_some() }
    }

    /// From `vaddr` to the end of its segment.
    pub(super) fn tail(&self, vaddr: u64) -> Option<&'a [u8]> {
        match vaddr.checked_sub(self.module.types).filter(|&at| at < self.len) {
            Some(at) => self.data.get(usize::try_from(at).ok()?..),
            None => self.image.tail(vaddr),
        }
    }

    /// `len` bytes at `vaddr`.
    pub(super) fn bytes(&self, vaddr: u64, len: u64) -> Option<&'a [u8]> {
        self.tail(vaddr)?.get(..usize::try_from(len).ok()?)
    }

    /// The word at `vaddr` as the file has it.
    pub(super) fn word(&self, vaddr: u64) -> Option<u64> {
        bytes::u64(self.tail(vaddr)?, 0)
    }

    /// The word at `vaddr` after relocation.
    pub(super) fn pointer(&self, vaddr: u64) -> Option<u64> {
        let relocated = if self.is_relocated { self.image.relocated_word(vaddr) } else { None };
        relocated.or_else(|| self.word(vaddr))
    }

    /// Where the type data begins: offsets of names and types count from here.
    pub fn start(&self) -> u64 {
        self.module.types
    }

    /// The descriptor at an address, which must lie in the type data.
    pub fn get(&self, vaddr: u64) -> Option<Type<'a>> {
        if !vaddr.is_multiple_of(8) || vaddr < self.module.types || vaddr >= self.module.etypes {
            return None;
        }
        let bytes = self.tail(vaddr)?;
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
        let bytes = self.tail(vaddr)?;
        let mut at = 1;
        let len = bytes::uvarint(bytes, &mut at).filter(|&l| l <= MAX_NAME_BYTES)?;
        bytes.get(at..at.checked_add(usize::try_from(len).ok()?)?)
    }

    /// As `reflect` prints it: only the last element of the import path (`http.Request`).
    pub fn short_name(&self, t: &Type<'_>) -> Option<&'a [u8]> {
        let name = self.name_at(self.at_offset(bytes::i32(t.bytes, 40)?)?)?;
        if t.tflag & EXTRA_STAR != 0 { name.strip_prefix(b"*") } else { Some(name) }
    }

    /// The import path of a defined type's package; empty for predeclared types.
    pub fn package(&self, t: &Type<'_>) -> Option<&'a [u8]> {
        let uncommon = self.uncommon(t)?;
        self.name_at(self.at_offset(self.tail(uncommon).and_then(|b| bytes::i32(b, 0))?)?)
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
            // Without a word on which it is: that of the newest.
            Kind::Map => self.map_form(t).map_or(136, MapForm::descriptor_size),
        }
    }

    fn pointer_in(&self, t: &Type<'_>, at: u64) -> Option<u64> {
        self.pointer(t.vaddr.checked_add(at)?)
    }

    /// The element of a pointer, slice, array, chan or map.
    pub fn elem(&self, t: &Type<'_>) -> Option<u64> {
        self.pointer_in(t, if t.kind == Kind::Map { 56 } else { 48 })
    }

    /// The key of a map.
    pub fn key(&self, t: &Type<'_>) -> Option<u64> {
        self.pointer_in(t, 48)
    }

    /// How a map's descriptor goes on behind its group: the size of the bucket type stands at 82, that of the group type at 80.
    pub(super) fn map_form(&self, t: &Type<'_>) -> Option<MapForm> {
        let group = self.get(self.group(t)?)?.size();
        if bytes::u16(t.bytes, 82).map(u64::from) == Some(group) {
            return Some(MapForm::Hmap);
        }
        // Where the layout of moduledata leaves several releases, the newest knows whether there are groups at all.
        let newest = self.module.releases().last()?;
        newest.swiss_map.filter(|_| bytes::u64(t.bytes, 80) == Some(group)).map(MapForm::Swiss)
    }

    /// The bucket or group of a map.
    pub(super) fn group(&self, t: &Type<'_>) -> Option<u64> {
        self.pointer_in(t, 64)
    }

    /// The pointer type to this type, when it has a descriptor.
    pub(crate) fn pointer_to(&self, t: &Type<'_>) -> Option<u64> {
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
        Some((self.pointer_in(t, 56)?, len))
    }

    /// The types of a struct's fields.
    pub(super) fn field_types(&self, t: &Type<'_>) -> impl Iterator<Item = u64> + '_ {
        let (start, len) = if t.kind == Kind::Struct { self.members(t).unwrap_or((0, 0)) } else { (0, 0) };
        (0..len).map_while(move |i| self.pointer(start.checked_add(i * FIELD_BYTES + 8)?))
    }

    /// The fields of a struct.
    pub fn fields(&self, t: &Type<'_>) -> impl Iterator<Item = Field<'a>> + '_ {
        let (start, len) = if t.kind == Kind::Struct { self.members(t).unwrap_or((0, 0)) } else { (0, 0) };
        (0..len).map_while(move |i| {
            let at = start.checked_add(i * FIELD_BYTES)?;
            let word = self.word(at.checked_add(16)?)?;
            let (type_vaddr, name) = (self.pointer(at.checked_add(8)?)?, self.pointer(at)?);
            // 1.18 keeps (offset << 1 | embedded), later ones have a flag in front of the name.
            let (offset, embedded) = if self.module.doubled_offsets {
                (word >> 1, word & 1 != 0)
            } else {
                (word, bytes::u8(self.tail(name)?, 0)? & EMBEDDED != 0)
            };
            Some(Field { name: self.name_at(name)?, type_vaddr, offset, embedded })
        })
    }
}

/// Which of Go's maps a descriptor describes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapForm {
    /// A map of buckets.
    Hmap,
    /// A map of groups.
    Swiss(SwissMap),
}

impl MapForm {
    fn descriptor_size(self) -> u64 {
        match self {
            MapForm::Hmap => 88,
            MapForm::Swiss(SwissMap::Slots) => 112,
            MapForm::Swiss(SwissMap::Strides) => 136,
        }
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
}
