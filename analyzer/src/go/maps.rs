//! How a map type is laid out, from its descriptor.
//!
//! | since | at 72 and on | size |
//! |---|---|---|
//! | 1.18 | hasher @72, key size u8 @80, element size u8 @81, bucket size u16 @82, flags u32 @84 | 88 |
//! | 1.24 | hasher @72, group size @80, slot size @88, elemOff @96, flags u32 @104 | 112 |
//! | 1.27 | group size @80, keysOff @88, keyStride @96, elemsOff @104, elemStride @112, elemOff @120, flags @128 | 136 |
//!
//! Which of the first two it is shows without a version: the size of the bucket type stands at 82, that of the group
//! type at 80. A key or an element of more than 128 bytes is kept behind a pointer (the sizes above are then 8), which the flags
//! say: bits 0 and 1 of a bucket's map, 2 and 3 of a group's.

use super::types::{Kind, Type, Types};
use crate::bytes;
use crate::plan::{MapImplementation, MapLayout};

/// Slots of a bucket, and of a group.
const SLOTS: u64 = 8;
/// Before the first key: 8 hash bytes, or 8 control bytes.
const HEADER: u64 = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Hmap,
    Swiss,
    SwissStrides,
}

fn shape(types: &Types<'_>, t: &Type<'_>) -> Option<Shape> {
    let group = types.get(types.group(t)?)?.size();
    if bytes::u16(t.bytes(), 82).map(u64::from) == Some(group) {
        return Some(Shape::Hmap);
    }
    let swiss = bytes::u64(t.bytes(), 80) == Some(group);
    let newest = types.module.minor.0 >= 27;
    swiss.then_some(if newest { Shape::SwissStrides } else { Shape::Swiss })
}

/// Size of the descriptor; that of the newest known when it says nothing.
pub(super) fn descriptor_size(types: &Types<'_>, t: &Type<'_>) -> u64 {
    match shape(types, t) {
        Some(Shape::Hmap) => 88,
        Some(Shape::Swiss) => 112,
        Some(Shape::SwissStrides) | None => 136,
    }
}

/// `map[K]V` of any map type, a defined one included.
pub fn underlying_name(types: &Types<'_>, t: &Type<'_>) -> Option<String> {
    (t.kind == Kind::Map).then(|| {
        Some(format!("map[{}]{}", types.full_name(types.key(t)?)?, types.full_name(types.elem(t)?)?))
    })?
}

/// The layout, in the words of the Plan.
pub fn layout(types: &Types<'_>, t: &Type<'_>) -> Option<MapLayout> {
    let word = |at| bytes::u64(t.bytes(), at);
    let byte = |at| bytes::u8(t.bytes(), at).map(u64::from);
    let flags = |at| bytes::u32(t.bytes(), at);
    let type_name = underlying_name(types, t)?;
    let hmap = || {
        let (key_stride, elem_stride) = (byte(80)?, byte(81)?);
        let elems_offset = HEADER + SLOTS * key_stride;
        let group_size = u64::from(bytes::u16(t.bytes(), 82)?);
        Some((MapImplementation::Hmap, HEADER, key_stride, elems_offset, elem_stride, group_size, flags(84)?))
    };
    let swiss = || {
        let (slot, elem) = (word(88)?, word(96)?);
        Some((
            MapImplementation::Swiss,
            HEADER,
            slot,
            HEADER.checked_add(elem)?,
            slot,
            word(80)?,
            flags(104)? >> 2,
        ))
    };
    let strides = || {
        Some((
            MapImplementation::Swiss,
            word(88)?,
            word(96)?,
            word(104)?,
            word(112)?,
            word(80)?,
            flags(128)? >> 2,
        ))
    };
    let (implementation, keys_offset, key_stride, elems_offset, elem_stride, group_size, indirect) =
        match shape(types, t)? {
            Shape::Hmap => hmap()?,
            Shape::Swiss => swiss()?,
            Shape::SwissStrides => strides()?,
        };
    let implementation = Some(implementation);
    Some(MapLayout {
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
