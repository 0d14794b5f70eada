//! The members of structs and interfaces: what stands behind the pointer or the offset to a member's name.
//!
//! A member's name: flags u8 (1 exported, 2 tag, 4 package, 8 embedded since 1.19), uvarint length, bytes; uvarint length of the
//! tag, bytes; the package's name, i32 from `types`. Without one of its own a member belongs to the package at +48.

use super::descriptor::Types;
use crate::bytes;

/// Longest tag that is read.
const MAX_TAG_BYTES: u64 = 1 << 14;
pub(super) const EXPORTED: u8 = 1;
const TAGGED: u8 = 2;
const PACKAGED: u8 = 4;

/// A member's name with what goes with it.
pub(super) struct Member<'a> {
    pub flags: u8,
    pub name: &'a [u8],
    pub tag: &'a [u8],
    /// Its own package, where its type has none or another.
    pub package: Option<&'a [u8]>,
}

impl<'a> Types<'a> {
    /// The member whose name is at that address.
    pub(super) fn member(&self, vaddr: u64) -> Option<Member<'a>> {
        let name = self.name_at(vaddr)?;
        let tail = self.tail(vaddr)?;
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
