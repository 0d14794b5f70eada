//! Structs and interfaces that have no name of their own, spelled member by member from type data as DWARF spells them.
//!
//! One spelling serves all witnesses: DWARF's, which the database and the catalog have too. reflect's, which stands in the
//! descriptor, names packages without their paths, so two different types can have it.
//!
//! | what | spelling |
//! |---|---|
//! | struct | `struct { A int; B int }`, `struct {}` |
//! | interface | `interface { Read([]uint8) (int, error) }`, `interface {}` |
//! | embedded field | its type alone |
//! | field or method that is not exported | with its package's path: `net/http.c int` |
//! | tag | behind the field, quoted as `strconv.Quote` does |
//!
//! A member's name: flags u8 (1 exported, 2 tag, 4 package, 8 embedded since 1.19), uvarint length, bytes; uvarint length of the
//! tag, bytes; the package's name, i32 from `types`. Without one of its own a member belongs to the package at +48.

use super::types::{Kind, Sink, Type, Types};
use crate::bytes;

/// Longest tag that is read.
const MAX_TAG_BYTES: u64 = 1 << 14;
const EXPORTED: u8 = 1;
const TAGGED: u8 = 2;
const PACKAGED: u8 = 4;
const EMBEDDED: u8 = 8;
/// A field's entry: name, type, offset.
const FIELD_BYTES: u64 = 24;
/// A method's entry: name and type, each an offset.
const METHOD_BYTES: u64 = 8;

/// A member's name with what goes with it.
struct Member<'a> {
    flags: u8,
    name: &'a [u8],
    tag: &'a [u8],
    /// Its own package, where its type has none or another.
    package: Option<&'a [u8]>,
}

impl<'a> Types<'a> {
    pub(super) fn write_struct(&self, t: &Type<'_>, depth: u32, out: &mut impl Sink) -> Option<()> {
        let (start, len) = self.members(t)?;
        out.put(b"struct {")?;
        for i in 0..len {
            out.put(if i > 0 { b"; " } else { b" " })?;
            let at = start.checked_add(i * FIELD_BYTES)?;
            let member = self.member(self.image.pointer(at)?)?;
            // 1.18 keeps (offset << 1 | embedded) instead of the flag.
            let embedded = if self.module.doubled_offsets {
                self.image.word(at.checked_add(16)?)? & 1 == 1
            } else {
                member.flags & EMBEDDED != 0
            };
            if !embedded {
                self.write_member(t, &member, out)?;
                out.put(b" ")?;
            }
            self.write_name(self.image.pointer(at.checked_add(8)?)?, depth, out)?;
            if !member.tag.is_empty() {
                out.put(quoted(member.tag).as_bytes())?;
            }
        }
        out.put(if len > 0 { b" }" } else { b"}" })
    }

    pub(super) fn write_interface(&self, t: &Type<'_>, depth: u32, out: &mut impl Sink) -> Option<()> {
        let (start, len) = if t.kind == Kind::Interface { self.members(t)? } else { (0, 0) };
        out.put(b"interface {")?;
        for i in 0..len {
            out.put(if i > 0 { b"; " } else { b" " })?;
            let entry = self.image.bytes(start.checked_add(i * METHOD_BYTES)?, METHOD_BYTES)?;
            let member = self.member(self.at_offset(bytes::i32(entry, 0)?)?)?;
            self.write_member(t, &member, out)?;
            let signature = self.get(self.at_offset(bytes::i32(entry, 4)?)?)?;
            if signature.kind != Kind::Func {
                return None;
            }
            self.write_signature(&signature, depth, out)?;
        }
        out.put(if len > 0 { b" }" } else { b"}" })
    }

    fn write_member(&self, t: &Type<'_>, member: &Member<'_>, out: &mut impl Sink) -> Option<()> {
        if member.flags & EXPORTED == 0 {
            let of_type = || self.name_at(self.image.pointer(t.vaddr.checked_add(48)?)?);
            out.put(member.package.or_else(of_type).unwrap_or_default())?;
            out.put(b".")?;
        }
        out.put(member.name)
    }

    fn member(&self, vaddr: u64) -> Option<Member<'a>> {
        let name = self.name_at(vaddr)?;
        let tail = self.image.tail(vaddr)?;
        let flags = bytes::u8(tail, 0)?;
        let mut at = 1;
        bytes::uvarint(tail, &mut at)?;
        at = at.checked_add(name.len())?;
        let mut tag = &[][..];
        if flags & TAGGED != 0 {
            let len = bytes::uvarint(tail, &mut at).filter(|&l| l <= MAX_TAG_BYTES)?;
            let end = at.checked_add(usize::try_from(len).ok()?)?;
            tag = tail.get(at..end)?;
            at = end;
        }
        let own = || self.name_at(self.at_offset(bytes::i32(tail, at)?)?);
        let package = if flags & PACKAGED == 0 { None } else { own() };
        Some(Member { flags, name, tag, package })
    }
}

/// A space and the tag as `strconv.Quote` has it.
fn quoted(tag: &[u8]) -> String {
    let mut out = " \"".to_owned();
    for chunk in tag.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\x07' => out.push_str("\\a"),
                '\x08' => out.push_str("\\b"),
                '\x0b' => out.push_str("\\v"),
                '\x0c' => out.push_str("\\f"),
                '\n' | '\r' | '\t' => out.extend(c.escape_default()),
                c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_quoted_as_go_does() {
        assert_eq!(quoted(b"json:\"h\" x:\"a\\tb\""), r#" "json:\"h\" x:\"a\\tb\"""#);
        assert_eq!(quoted(b"\x00\n\xff\xc3\xa9\x7f"), " \"\\x00\\n\\xff\u{e9}\\x7f\"");
    }
}
