//! Types whose size or descriptor the catalog wants, as type data has them.

use std::collections::{BTreeMap, HashMap};

use offsets::catalog::Entry;

use super::names::bare_name;
use crate::go::types::{Type, Types};
use crate::go::wanted::Names;

/// A type that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Its descriptor.
    pub vaddr: u64,
    /// Bytes of a value.
    pub size: u64,
    /// Whether there are others of that name, as there may be of types declared in functions.
    pub several: bool,
}

/// The types that the catalog names, and what was seen of them.
pub(super) struct Described<'n> {
    /// Without their packages.
    bare: Names<'n>,
    /// At a bare name's position: the full names that have it.
    full: Vec<Vec<&'n str>>,
    found: HashMap<&'n str, Found>,
}

impl<'n> Described<'n> {
    /// Those that these entries name.
    pub fn new(present: &[&'n Entry]) -> Self {
        let wanted = present.iter().flat_map(|entry| entry.sizes.iter().chain(&entry.types));
        let mut full: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in wanted.map(|wanted| wanted.type_name.as_str()) {
            let names = full.entry(bare_name(name)).or_default();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let bare = Names::new(full.keys().copied());
        Described { bare, full: full.into_values().collect(), found: HashMap::new() }
    }

    /// The names without their packages.
    pub fn names(&self) -> impl Iterator<Item = &'n str> + use<'_, 'n> {
        self.full.iter().flatten().map(|full| bare_name(full))
    }

    /// Keeps a defined type of that name without its package, and the pointer to it, if the catalog names them. The compiler writes the
    /// pointer's descriptor with that of each defined type, and refers to it there (cmd/compile/internal/reflectdata, writeType).
    pub fn look_at(&mut self, types: &Types<'_>, t: &Type<'_>, bare: &[u8]) {
        let Some(full) = self.bare.position(bare).and_then(|position| self.full.get(position)) else {
            return;
        };
        for name in full {
            let (is_pointer, defined) = name.strip_prefix('*').map_or((false, *name), |rest| (true, rest));
            if !types.has_full_name(t.vaddr, defined) {
                continue;
            }
            let pointer = || types.pointer_to(t).and_then(|pointer| types.get(pointer));
            let Some(t) = (if is_pointer { pointer() } else { Some(*t) }) else { continue };
            let found = Found { vaddr: t.vaddr, size: t.size(), several: false };
            self.found.entry(name).and_modify(|known| known.several = true).or_insert(found);
        }
    }

    /// What was found, by full name.
    pub fn into_found(self) -> HashMap<String, Found> {
        self.found.into_iter().map(|(name, found)| (name.to_owned(), found)).collect()
    }
}
