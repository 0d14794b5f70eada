//! Static itabs: `{interface @0, concrete type @8, hash u32 @16, methods @24}`.
//!
//! The first word of an interface value is the address of its itab: compared with a static itab's address it tells what
//! the value holds.

use super::descriptor::Types;
use crate::go::release::Roots;

/// More itabs than this no binary has.
const MAX_ITABS: u64 = 1 << 20;

/// A static itab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Itab {
    /// Where it is.
    pub vaddr: u64,
    /// Address of the interface's descriptor.
    pub interface: u64,
    /// Address of the concrete type's descriptor.
    pub concrete: u64,
}

/// All static itabs.
pub fn all<'b>(types: &'b Types<'_>) -> Box<dyn Iterator<Item = Itab> + 'b> {
    match types.module.roots {
        Roots::Links { itabs, .. } => Box::new((0..itabs.len.min(MAX_ITABS)).filter_map(move |i| {
            let at = types.pointer(itabs.vaddr.checked_add(i * 8)?)?;
            read(types, at)
        })),
        Roots::Linear { itabs, .. } => {
            let end = itabs.vaddr.saturating_add(itabs.len);
            let mut at = itabs.vaddr;
            Box::new(std::iter::from_fn(move || {
                if at >= end {
                    return None;
                }
                let itab = read(types, at)?;
                at = at.checked_add(size(types, &itab)?)?;
                Some(itab)
            }))
        }
    }
}

fn read(types: &Types<'_>, vaddr: u64) -> Option<Itab> {
    let interface = types.pointer(vaddr)?;
    Some(Itab { vaddr, interface, concrete: types.pointer(vaddr.checked_add(8)?)? })
}

/// A negative itab (`fun[0] == 0`) has room for one method, another for all of the interface's.
fn size(types: &Types<'_>, itab: &Itab) -> Option<u64> {
    let methods = types.members(&types.get(itab.interface)?)?.1;
    let negative = types.pointer(itab.vaddr.checked_add(24)?)? == 0;
    Some(32 + if negative { 0 } else { methods.saturating_sub(1) * 8 })
}
