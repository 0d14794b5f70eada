//! All type descriptors that can be reached from the roots.
//!
//! typelinks name unnamed types only, so most structs are reached through what refers to them. Each descriptor is
//! visited once: a bit per 8-byte slot of the type data, so the memory is a 64th of it.

use super::descriptor::{Kind, MAX_MEMBERS, Type, Types};
use super::itabs;
use super::names::NameBudget;
use crate::bytes;
use crate::error::{ErrorKind, Result};
use crate::go::release::Roots;

/// More types than this no binary has (the largest seen, of 315 MB, has about 400,000).
const MAX_TYPES: u64 = 1 << 22;
/// More fields, methods, parameters and elements than this no binary has: there are five or six for each type (664,000 in
/// 185 MB). Types may share such tables, so that a small file can have billions.
const MAX_EDGES: u64 = 1 << 24;

/// Name and address of every defined struct type.
pub fn structs(types: &Types<'_>) -> Result<Vec<(String, u64)>> {
    let (mut out, mut budget, mut over) = (Vec::new(), NameBudget::default(), None);
    walk(types, |t| {
        if t.kind == Kind::Struct && t.is_named() && over.is_none() {
            match types.full_name_within(t.vaddr, &mut budget) {
                Ok(name) => out.extend(name.map(|name| (name, t.vaddr))),
                Err(error) => over = Some(error),
            }
        }
    })?;
    over.map_or(Ok(out), Err)
}

struct Walk<'a, 'b> {
    types: &'b Types<'a>,
    seen: Vec<u64>,
    queue: Vec<u64>,
    count: u64,
    edges: u64,
}

/// Calls `visit` once for every descriptor.
pub fn walk<'a>(types: &Types<'a>, mut visit: impl FnMut(&Type<'a>)) -> Result<()> {
    let slots = (types.module.etypes - types.module.types) / 8 + 1;
    let words = usize::try_from(slots / 64 + 1).unwrap_or(0);
    let mut walk = Walk { types, seen: vec![0; words], queue: Vec::new(), count: 0, edges: 0 };
    walk.roots();
    while let Some(vaddr) = walk.queue.pop() {
        let Some(t) = types.get(vaddr) else { continue };
        visit(&t);
        walk.follow(&t);
        within("types", walk.count, MAX_TYPES)?;
        within("references between types", walk.edges, MAX_EDGES)?;
    }
    Ok(())
}

fn within(what: &'static str, count: u64, limit: u64) -> Result<()> {
    if count > limit { Err(ErrorKind::Budget { what, count, limit }) } else { Ok(()) }
}

impl Walk<'_, '_> {
    fn push(&mut self, vaddr: Option<u64>) {
        self.edges += 1;
        let Some(slot) = vaddr.and_then(|v| v.checked_sub(self.types.module.types)) else { return };
        let Some(word) = usize::try_from(slot / 512).ok().and_then(|i| self.seen.get_mut(i)) else { return };
        let bit = 1 << (slot / 8 % 64);
        if slot % 8 == 0 && *word & bit == 0 {
            *word |= bit;
            self.count += 1;
            self.queue.extend(vaddr);
        }
    }

    fn roots(&mut self) {
        let types = self.types;
        match types.module.roots {
            Roots::Links { types: links, .. } => {
                let table = types.bytes(links.vaddr, links.len.saturating_mul(4)).unwrap_or_default();
                for offset in table.chunks_exact(4) {
                    self.push(bytes::i32(offset, 0).and_then(|o| types.at_offset(o)));
                }
            }
            Roots::Linear { typedesclen, .. } => self.linear(typedesclen.len),
        }
        for itab in itabs::all(types) {
            self.push(Some(itab.interface));
            self.push(Some(itab.concrete));
        }
    }

    /// Go 1.27: descriptors one after another.
    fn linear(&mut self, len: u64) {
        let types = self.types;
        let start = types.module.types;
        let mut at = start.saturating_add(8);
        while at < start.saturating_add(len) {
            let Some(t) = types.get(at) else { return };
            self.push(Some(at));
            let Some(next) = at.checked_add(size(types, &t)).and_then(|n| n.checked_next_multiple_of(8))
            else {
                return;
            };
            at = next;
        }
    }

    fn follow(&mut self, t: &Type<'_>) {
        let types = self.types;
        match t.kind {
            Kind::Basic => {}
            Kind::Array | Kind::Chan | Kind::Pointer | Kind::Slice => self.push(types.elem(t)),
            Kind::Map => {
                self.push(types.key(t));
                self.push(types.elem(t));
                self.push(types.group(t));
            }
            Kind::Func => {
                let (start, len) = types.parameters(t).unwrap_or_default();
                (0..len).for_each(|i| self.push(types.pointer(start.wrapping_add(i * 8))));
            }
            Kind::Interface => self.offsets(types.members(t), 8, 4),
            Kind::Struct => types.field_types(t).for_each(|vaddr| self.push(Some(vaddr))),
        }
        self.push(types.pointer_to(t));
        self.offsets(methods(types, t), 16, 4);
    }

    /// Type offsets at `at` of each of the `size`-byte members.
    fn offsets(&mut self, members: Option<(u64, u64)>, size: u64, at: usize) {
        let Some((start, len)) = members.filter(|&(_, n)| n <= MAX_MEMBERS) else { return };
        let types = self.types;
        let table = types.bytes(start, len * size).unwrap_or_default();
        for member in table.chunks_exact(usize::try_from(size).unwrap_or(8)) {
            self.push(bytes::i32(member, at).filter(|&o| o > 0).and_then(|o| types.at_offset(o)));
        }
    }
}

/// Address and number of a type's methods.
fn methods(types: &Types<'_>, t: &Type<'_>) -> Option<(u64, u64)> {
    let uncommon = types.uncommon(t)?;
    let bytes = types.tail(uncommon)?;
    let start = uncommon.checked_add(u64::from(bytes::u32(bytes, 8)?))?;
    Some((start, u64::from(bytes::u16(bytes, 4)?)))
}

/// Size of a descriptor with all that belongs to it, in Go 1.27's linear region.
fn size(types: &Types<'_>, t: &Type<'_>) -> u64 {
    let members = |width: u64| types.members(t).map_or(0, |(_, n)| n * width);
    let parts = match t.kind {
        Kind::Func => types.parameters(t).map_or(0, |(_, len)| len * 8),
        Kind::Interface => members(8),
        Kind::Struct => members(24),
        _ => 0,
    };
    let uncommon = if types.uncommon(t).is_some() { 16 } else { 0 };
    types.base_size(t) + parts + uncommon + methods(types, t).map_or(0, |(_, n)| n * 16)
}
