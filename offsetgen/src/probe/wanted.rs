//! What the catalog wants of one version of a module: structs, functions, and the programs to compile.

use std::collections::BTreeSet;

use offsets::catalog::{Field, owner};
use offsets::{Version, names};
use sha2::{Digest, Sha256};

use super::symbol::Symbol;
use crate::catalog::Catalog;
use crate::hex::hex;

/// Everything to find out about one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// By name with full import path.
    pub structs: BTreeSet<&'a str>,
    /// By linker name.
    pub functions: BTreeSet<&'a str>,
    /// Sources of programs, each once.
    pub sources: Vec<&'a str>,
    /// Fields that are read: struct, field and kind.
    pub fields: BTreeSet<(&'a str, &'a str, &'a str)>,
    /// The module that all of it is of.
    pub module: &'a str,
}

impl<'a> Wanted<'a> {
    /// What the entries that cover a version want; none if none does.
    pub fn new(catalog: &'a Catalog, version: &Version) -> Option<Self> {
        let mut wanted = Self::default();
        for entry in catalog.entries.iter().filter(|entry| entry.versions.contains(version)) {
            let module = entry.module.as_str();
            let is_own = |name: &&str| owner(name, [module]) == Some(module);
            let is_own_function = |name: &&str| {
                let package = Symbol::parse(name, module).map(|symbol| symbol.package);
                package.is_some_and(|package| names::owner(&package, [module]) == Some(module))
            };
            wanted.module = module;
            wanted.structs.extend(entry.structs().into_iter().filter(is_own));
            wanted.functions.extend(entry.functions().into_iter().filter(is_own_function));
            let is_expected = |f: &&Field| is_own(&f.type_name.as_str()) && f.versions.contains(version);
            let fields = entry.fields.iter().filter(is_expected);
            wanted.fields.extend(fields.map(|f| (f.type_name.as_str(), f.name.as_str(), f.kind.as_str())));
            let program = catalog.program(entry, version).filter(|text| !wanted.sources.contains(text));
            wanted.sources.extend(program);
        }
        (!wanted.sources.is_empty()).then_some(wanted)
    }

    /// The packages that the structs and functions are in.
    pub fn packages(&self) -> BTreeSet<String> {
        let structs = self.structs.iter().filter_map(|name| names::package(name).map(str::to_owned));
        let functions =
            self.functions.iter().filter_map(|name| Some(Symbol::parse(name, self.module)?.package));
        structs.chain(functions).collect()
    }

    /// A digest of all of it: what was built for another one is built again.
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        for list in [
            self.structs.iter().copied().collect(),
            self.functions.iter().copied().collect(),
            self.sources.clone(),
        ] {
            for text in list {
                hash.update(text);
                hash.update([0]);
            }
            hash.update([1]);
        }
        hex(&hash.finalize()).chars().take(16).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_with_a_dot_in_their_last_word() {
        let wanted = Wanted {
            structs: BTreeSet::from(["gopkg.in/yaml.v3.Node"]),
            functions: BTreeSet::from(["gopkg.in/ini.v1.(*File).Section", "net/http.(*conn).serve"]),
            module: "gopkg.in/ini.v1",
            ..Wanted::default()
        };
        let packages = ["gopkg.in/ini.v1", "gopkg.in/yaml.v3", "net/http"];
        assert!(wanted.packages().iter().eq(packages), "{:?}", wanted.packages());
    }
}
