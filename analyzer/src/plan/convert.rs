//! What the parsers found, in the words of the Plan: they know nothing of it.

use super::{BuildId, Cost, MapImplementation, MapLayout, Module, Replacement, Site, When};
use crate::go::buildinfo::BuiltModule;
use crate::go::notes;
use crate::go::types::maps;
use crate::sites;

impl From<&BuiltModule> for Module {
    fn from(module: &BuiltModule) -> Self {
        let replacement = |m: &BuiltModule| Replacement { path: m.path.clone(), version: m.version.clone() };
        Module {
            path: module.path.clone(),
            version: module.version.clone(),
            replaced_by: module.replaced_by.as_deref().map(replacement),
        }
    }
}

impl From<notes::BuildId> for BuildId {
    fn from(id: notes::BuildId) -> Self {
        BuildId { go: id.go, gnu: id.gnu }
    }
}

impl From<maps::Layout> for MapLayout {
    fn from(map: maps::Layout) -> Self {
        let implementation = match map.implementation {
            maps::Implementation::Hmap => MapImplementation::Hmap,
            maps::Implementation::Swiss => MapImplementation::Swiss,
        };
        MapLayout {
            type_name: map.type_name,
            implementation: Some(implementation),
            keys_offset: map.keys_offset,
            key_stride: map.key_stride,
            elems_offset: map.elems_offset,
            elem_stride: map.elem_stride,
            group_size: map.group_size,
            indirect_keys: map.indirect_keys,
            indirect_elems: map.indirect_elems,
        }
    }
}

impl From<sites::Site> for Site {
    fn from(site: sites::Site) -> Self {
        Site {
            vaddr: site.vaddr,
            file_offset: site.file_offset,
            bytes: site.bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            when: match site.when {
                sites::When::Entry => When::Entry,
                sites::When::Exit => When::Exit,
                sites::When::AfterCall => When::AfterCall,
                sites::When::Call => When::Call,
            },
            cost: match site.cost {
                sites::Cost::Emulated => Cost::Emulated,
                sites::Cost::Stepped => Cost::Stepped,
            },
            select_cases: site.select_cases,
        }
    }
}
