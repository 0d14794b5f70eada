//! Where this kernel keeps a field: a reader of its BTF that knows structs, unions and their members, and nothing else.
//!
//! The layout (Documentation/bpf/btf.rst), in the machine's byte order:
//!
//! | at | what |
//! |---|---|
//! | 0 | magic u16 = 0xeb9f, version u8 = 1, flags u8, header's length u32 |
//! | 8 | types: offset u32 and length u32; strings: offset u32 and length u32; both from the header's end |
//! | type | name u32, info u32 (entries in bits 0-15, kind in 24-28, bit 31: bit fields), size or type u32, then by kind |
//! | member | name u32, type u32, offset u32 in bits (24 bits of it where the type's bit 31 is set) |

use std::{fs, io};

/// The kernel's own description of its types. Kernel 4.18, built with `CONFIG_DEBUG_INFO_BTF`; the file since 5.4.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const TYPE_BYTES: usize = 12;
const MEMBER_BYTES: usize = 12;
const BIT_FIELDS: u32 = 1 << 31;
/// Typedefs, `const` and the like between a member and its struct, and structs without a name inside each other.
const MAX_DEPTH: u32 = 16;

/// Why a field's place is not known.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file cannot be read: mostly a kernel without `CONFIG_DEBUG_INFO_BTF`.
    #[error("reading {VMLINUX}: {0}")]
    Read(#[from] io::Error),
    /// It is not of the form above.
    #[error("{VMLINUX}: {what} at {offset:#x} lies outside the file, or is not BTF")]
    Malformed {
        /// What should be there.
        what: &'static str,
        /// Where, in bytes from the start of the file.
        offset: usize,
    },
    /// A kind of type from the future: what follows it cannot be found.
    #[error("{VMLINUX}: type {id} is of the kind {kind}, which this version of strobe does not know")]
    Kind {
        /// The type's number.
        id: u32,
        /// Its kind.
        kind: u32,
    },
    /// This kernel has no such field.
    #[error("{VMLINUX}: no field {0}")]
    Field(String),
}

/// The kinds that are told apart (include/uapi/linux/btf.h).
mod kind {
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const TYPE_TAG: u32 = 18;
}

/// Parsed BTF.
pub struct Btf {
    bytes: Vec<u8>,
    strings: usize,
    /// Where each type begins; type 0 is void and has no place.
    types: Vec<usize>,
    /// The structs among them: some ten thousand of a hundred and fifty thousand.
    structs: Vec<u32>,
}

struct Type {
    name: u32,
    info: u32,
    size_or_type: u32,
}

impl Type {
    fn kind(&self) -> u32 {
        self.info >> 24 & 0x1f
    }

    fn entries(&self) -> usize {
        (self.info & 0xffff) as usize
    }

    fn has_members(&self) -> bool {
        matches!(self.kind(), kind::STRUCT | kind::UNION)
    }

    /// The bytes behind its first twelve; `None` for a kind that is not known.
    fn extra_bytes(&self) -> Option<usize> {
        Some(match self.kind() {
            2 | 7..=12 | 16 | kind::TYPE_TAG => 0,
            1 | 14 | 17 => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION | 15 | 19 => 12 * self.entries(),
            6 | 13 => 8 * self.entries(),
            _ => return None,
        })
    }
}

impl Btf {
    /// Of the running kernel.
    pub fn of_kernel() -> Result<Self, BtfError> {
        Self::parse(fs::read(VMLINUX)?)
    }

    /// Finds where each type begins.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        let mut btf = Self { bytes, strings: 0, types: vec![0], structs: Vec::new() };
        let header = btf.u32_at(4, "the header's length")? as usize;
        if btf.bytes.first_chunk() != Some(&MAGIC.to_ne_bytes()) {
            return Err(BtfError::Malformed { what: "the magic number", offset: 0 });
        }
        let mut at = header + btf.u32_at(8, "the types' offset")? as usize;
        let end = at + btf.u32_at(12, "the types' length")? as usize;
        btf.strings = header + btf.u32_at(16, "the strings' offset")? as usize;
        let strings_end = btf.strings + btf.u32_at(20, "the strings' length")? as usize;
        if end.max(strings_end) > btf.bytes.len() {
            let offset = end.max(strings_end);
            return Err(BtfError::Malformed { what: "the end of its last section", offset });
        }
        while at < end {
            let found = btf.type_at(at)?;
            let id = btf.types.len() as u32;
            btf.types.push(at);
            if found.kind() == kind::STRUCT {
                btf.structs.push(id);
            }
            at += TYPE_BYTES + found.extra_bytes().ok_or(BtfError::Kind { id, kind: found.kind() })?;
        }
        Ok(btf)
    }

    fn u32_at(&self, offset: usize, what: &'static str) -> Result<u32, BtfError> {
        let bytes = self.bytes.get(offset..).and_then(|rest| rest.first_chunk());
        bytes.map(|word| u32::from_ne_bytes(*word)).ok_or(BtfError::Malformed { what, offset })
    }

    fn type_at(&self, at: usize) -> Result<Type, BtfError> {
        Ok(Type {
            name: self.u32_at(at, "a type's name")?,
            info: self.u32_at(at + 4, "a type's info")?,
            size_or_type: self.u32_at(at + 8, "a type's size")?,
        })
    }

    fn type_of(&self, id: u32) -> Result<(usize, Type), BtfError> {
        let what = "a type's number";
        let at = *self.types.get(id as usize).ok_or(BtfError::Malformed { what, offset: id as usize })?;
        Ok((at, self.type_at(at)?))
    }

    fn is_named(&self, name: u32, text: &str) -> bool {
        let start = self.strings.saturating_add(name as usize);
        let rest = self.bytes.get(start..).unwrap_or_default();
        rest.strip_prefix(text.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }

    /// The size of a struct.
    pub fn size_of(&self, name: &str) -> Result<u32, BtfError> {
        let found = self.structs(name).next().ok_or_else(|| BtfError::Field(name.to_owned()))?;
        Ok(self.type_of(found)?.1.size_or_type)
    }

    /// The offset in bytes of a field, and of a field in that one, and so on: `file`, `["f_path", "dentry"]`. Fields of
    /// structs and unions without a name are their owner's, as in C.
    pub fn offset_of(&self, name: &str, path: &[&str]) -> Result<u32, BtfError> {
        // A kernel may have two structs of one name; the one that is meant has the field.
        for id in self.structs(name) {
            if let Some(offset) = self.walk(id, path)? {
                return Ok(offset);
            }
        }
        Err(BtfError::Field(format!("{name}.{}", path.join("."))))
    }

    fn structs<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u32> + 'a {
        let is_it = |id: &u32| self.type_of(*id).is_ok_and(|(_, found)| self.is_named(found.name, name));
        self.structs.iter().copied().filter(is_it)
    }

    fn walk(&self, id: u32, path: &[&str]) -> Result<Option<u32>, BtfError> {
        let (mut id, mut offset) = (id, 0);
        for field in path {
            let Some((at, of)) = self.member(id, field, MAX_DEPTH)? else { return Ok(None) };
            (id, offset) = (of, offset + at);
        }
        Ok(Some(offset))
    }

    /// A field's offset and type.
    fn member(&self, id: u32, field: &str, depth: u32) -> Result<Option<(u32, u32)>, BtfError> {
        let Some(depth) = depth.checked_sub(1) else { return Ok(None) };
        let (at, owner) = self.type_of(id)?;
        if matches!(
            owner.kind(),
            kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG
        ) {
            return self.member(owner.size_or_type, field, depth);
        }
        let members = if owner.has_members() { owner.entries() } else { 0 };
        for index in 0..members {
            let at = at + TYPE_BYTES + index * MEMBER_BYTES;
            let name = self.u32_at(at, "a member's name")?;
            let of = self.u32_at(at + 4, "a member's type")?;
            let bits = self.u32_at(at + 8, "a member's offset")?;
            let bytes = if owner.info & BIT_FIELDS != 0 { bits & 0x00ff_ffff } else { bits } / 8;
            if self.is_named(name, field) {
                return Ok(Some((bytes, of)));
            }
            if self.is_named(name, "")
                && let Some((inside, of)) = self.member(of, field, depth)?
            {
                return Ok(Some((bytes + inside, of)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct outer { u8 a; union { struct inner b; }; }`, `struct inner { u64 x; u64 y; }`.
    fn small() -> Vec<u8> {
        let strings = b"\0outer\0a\0inner\0b\0x\0y\0";
        let name = |text: &str| {
            let needle = [b"\0", text.as_bytes(), b"\0"].concat();
            strings.windows(needle.len()).position(|w| w == needle).map_or(0, |at| at as u32 + 1)
        };
        let info = |kind: u32, entries: u32| kind << 24 | entries;
        let types: Vec<u32> = [
            vec![0, info(1, 0), 8, 0],
            vec![name("inner"), info(4, 2), 16, name("x"), 1, 0, name("y"), 1, 64],
            vec![0, info(10, 0), 2],
            vec![0, info(5, 1), 16, name("b"), 3, 0],
            vec![name("outer"), info(4, 2), 24, name("a"), 1, 0, 0, 4, 64],
        ]
        .concat();
        let words = [
            u32::from(MAGIC) | 1 << 16,
            24,
            0,
            types.len() as u32 * 4,
            types.len() as u32 * 4,
            strings.len() as u32,
        ];
        let numbers = words.iter().chain(&types).flat_map(|word| word.to_ne_bytes());
        numbers.chain(strings.iter().copied()).collect()
    }

    #[test]
    fn fields_of_nameless_unions_are_their_owners() {
        let btf = Btf::parse(small()).expect("parsed");
        assert_eq!(btf.offset_of("outer", &["a"]).expect("a"), 0);
        assert_eq!(btf.offset_of("outer", &["b", "y"]).expect("b.y"), 16);
        assert_eq!(btf.size_of("inner").expect("inner"), 16);
        let error = btf.offset_of("outer", &["c"]).expect_err("no such field").to_string();
        assert!(error.contains("outer.c"), "{error}");
    }

    #[test]
    fn a_cut_or_foreign_file_is_an_error() {
        let whole = small();
        for len in 0..whole.len() {
            assert!(Btf::parse(whole.iter().copied().take(len).collect()).is_err(), "{len} bytes");
        }
        let mut future = whole.clone();
        // The kind of the first type, in the top byte of its info.
        future[24 + 7] = 31;
        assert!(matches!(Btf::parse(future), Err(BtfError::Kind { id: 1, kind: 31 })));
    }
}
