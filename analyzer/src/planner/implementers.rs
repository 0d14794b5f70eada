//! Every concrete type that the binary has for an interface: contexts are of types that no catalog can know.

use std::collections::HashMap;

use offsets::catalog::{Entry, Has};

use super::names::{bare_name, has_bare_name};
use crate::error::Result;
use crate::go::held;
use crate::go::types::itabs;
use crate::go::types::{NameBudget, Types};
use crate::go::wanted::Names;
use crate::plan::{Held, Itab};

/// The interfaces of which it is asked what their types hold.
const CONTEXT: &str = "context.Context";
const CONN: &str = "net.Conn";
/// Most types of one interface that are listed; of contexts a big server has some dozens.
const MAX_LISTED: usize = 256;

/// The types of one interface.
#[derive(Debug, Default)]
pub(super) struct Implementers {
    /// By name, the first [`MAX_LISTED`] that the table has.
    pub itabs: Vec<Itab>,
    /// How many there are.
    pub count: u64,
}

/// Those of the interfaces that entries ask for as a whole.
pub(super) fn find(types: &Types<'_>, present: &[&Entry]) -> Result<HashMap<String, Implementers>> {
    let wanted = present.iter().flat_map(|entry| &entry.itabs).filter(|itab| itab.concrete.is_none());
    let of_roles = present.iter().flat_map(|entry| &entry.roles).flat_map(|role| &role.unless);
    let unless = of_roles.chain(present.iter().flat_map(|entry| &entry.unless));
    let unless = unless.filter_map(|unless| match &unless.has {
        Has::Implementer { interface, .. } => Some(interface.as_str()),
        Has::Function(_) => None,
    });
    let wanted: Vec<&str> = wanted.map(|itab| itab.interface.as_str()).chain(unless).collect();
    let mut out: HashMap<String, Implementers> = HashMap::new();
    if wanted.is_empty() {
        return Ok(out);
    }
    let names = Names::new(wanted.iter().map(|interface| bare_name(interface)));
    let mut budget = NameBudget::default();
    // Itabs of one interface have one descriptor: its name is looked at once.
    let mut known: HashMap<u64, Option<&str>> = HashMap::new();
    for itab in itabs::all(types) {
        if !has_bare_name(types, itab.interface, &names) {
            continue;
        }
        let is_wanted = || wanted.iter().copied().find(|name| types.has_full_name(itab.interface, name));
        let Some(interface) = *known.entry(itab.interface).or_insert_with(is_wanted) else { continue };
        let found = out.entry(interface.to_owned()).or_default();
        found.count += 1;
        if found.itabs.len() < MAX_LISTED
            && let Some(concrete) = types.full_name_within(itab.concrete, &mut budget)?
        {
            let held = match interface {
                CONTEXT => held::context(types, itab.concrete),
                CONN => held::conn(types, itab.concrete),
                _ => None,
            };
            let holds = held.map(|(name, offset)| Held { type_name: name.to_owned(), offset });
            let interface = interface.to_owned();
            found.itabs.push(Itab { interface, concrete, vaddr: Some(itab.vaddr), holds });
        }
    }
    for found in out.values_mut() {
        found.itabs.sort_by(|a, b| (&a.concrete, a.vaddr).cmp(&(&b.concrete, b.vaddr)));
    }
    Ok(out)
}
