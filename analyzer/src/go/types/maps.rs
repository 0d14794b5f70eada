//! How a map type is laid out, from its descriptor.
//!
//! | since | at 72 and on | size |
//! |---|---|---|
//! | 1.18 | hasher @72, key size u8 @80, element size u8 @81, bucket size u16 @82, flags u32 @84 | 88 |
//! | 1.24 | hasher @72, group size @80, slot size @88, elemOff @96, flags u32 @104 | 112 |
//! | 1.27 | group size @80, keysOff @88, keyStride @96, elemsOff @104, elemStride @112, elemOff @120, flags @128 | 136 |
//!
//! Which of the first two it is shows without a version ([`Types::map_form`]). A key or an element of more than
//! 128 bytes is kept behind a pointer (the sizes above are then 8), which the flags say: bits 0 and 1 of a bucket's map, 2 and 3 of
//! a group's.

use super::descriptor::{Kind, MapForm, Type, Types};
use crate::bytes;
use crate::go::release::SwissMap;

/// Slots of a bucket, and of a group.
const SLOTS: u64 = 8;
/// Before the first key: 8 hash bytes, or 8 control bytes.
const HEADER: u64 = 8;

/// Go's two map implementations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// `runtime.hmap`: buckets with overflow chains.
    Hmap,
    /// `internal/runtime/maps.Map`: groups with control words.
    Swiss,
}

/// How a map type is laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// `map[K]V`.
    pub type_name: String,
    /// Which implementation.
    pub implementation: Implementation,
    /// Offset of slot 0's key in a bucket or group.
    pub keys_offset: u64,
    /// Distance from one key to the next.
    pub key_stride: u64,
    /// Offset of slot 0's element.
    pub elems_offset: u64,
    /// Distance from one element to the next.
    pub elem_stride: u64,
    /// Size of a bucket or of a group.
    pub group_size: u64,
    /// A slot has a pointer to its key.
    pub indirect_keys: bool,
    /// A slot has a pointer to its element.
    pub indirect_elems: bool,
}

/// `map[K]V` of any map type, a defined one included.
pub fn underlying_name(types: &Types<'_>, t: &Type<'_>) -> Option<String> {
    (t.kind == Kind::Map).then(|| {
        Some(format!("map[{}]{}", types.full_name(types.key(t)?)?, types.full_name(types.elem(t)?)?))
    })?
}

/// The layout.
pub fn layout(types: &Types<'_>, t: &Type<'_>) -> Option<Layout> {
    let word = |at| bytes::u64(t.bytes, at);
    let byte = |at| bytes::u8(t.bytes, at).map(u64::from);
    let type_name = underlying_name(types, t)?;
    let flags = |at| bytes::u32(t.bytes, at);
    let hmap = || {
        let (key_stride, elem_stride) = (byte(80)?, byte(81)?);
        let elems_offset = HEADER + SLOTS * key_stride;
        let group_size = u64::from(bytes::u16(t.bytes, 82)?);
        Some((Implementation::Hmap, HEADER, key_stride, elems_offset, elem_stride, group_size, flags(84)?))
    };
    let swiss = || {
        let (slot, elem) = (word(88)?, word(96)?);
        let elems_offset = HEADER.checked_add(elem)?;
        Some((Implementation::Swiss, HEADER, slot, elems_offset, slot, word(80)?, flags(104)? >> 2))
    };
    let strides = || {
        let (keys_offset, key_stride, elems_offset, elem_stride) =
            (word(88)?, word(96)?, word(104)?, word(112)?);
        let flags = flags(128)? >> 2;
        Some((Implementation::Swiss, keys_offset, key_stride, elems_offset, elem_stride, word(80)?, flags))
    };
    let (implementation, keys_offset, key_stride, elems_offset, elem_stride, group_size, indirect) =
        match types.map_form(t)? {
            MapForm::Hmap => hmap()?,
            MapForm::Swiss(SwissMap::Slots) => swiss()?,
            MapForm::Swiss(SwissMap::Strides) => strides()?,
        };
    Some(Layout {
        type_name,
        implementation,
        keys_offset,
        key_stride,
        elems_offset,
        elem_stride,
        group_size,
        indirect_keys: indirect & 1 != 0,
        indirect_elems: indirect & 2 != 0,
    })
}
