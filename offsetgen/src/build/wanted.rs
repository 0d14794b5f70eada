//! What the catalog wants of one version of a module: structs, functions, and the programs to compile.

use std::collections::BTreeSet;

use offsets::Version;
use offsets::catalog::Entry;
use sha2::{Digest, Sha256};

use super::dwarf::package;
use super::source::Symbol;
use crate::hex;

/// Everything to find out about one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// By name with full import path.
    pub structs: BTreeSet<&'a str>,
    /// By linker name.
    pub functions: BTreeSet<&'a str>,
    /// Sources of programs, each once.
    pub sources: Vec<&'a str>,
}

impl<'a> Wanted<'a> {
    /// What the entries that cover a version want; none if none does.
    pub fn new(entries: &'a [Entry], version: &Version) -> Option<Self> {
        let mut wanted = Self::default();
        for entry in entries.iter().filter(|entry| entry.versions.contains(version)) {
            wanted.structs.extend(entry.structs());
            wanted.functions.extend(entry.functions());
            let source = entry.target.source_for(version);
            if !wanted.sources.contains(&source) {
                wanted.sources.push(source);
            }
        }
        (!wanted.sources.is_empty()).then_some(wanted)
    }

    /// The packages that the structs and functions are in.
    pub fn packages(&self) -> BTreeSet<String> {
        let structs = self.structs.iter().filter_map(|name| package(name).map(str::to_owned));
        let functions = self.functions.iter().filter_map(|name| Some(Symbol::parse(name)?.package));
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

    /// The linker escapes the dot of a path's last word, DWARF's names of types do not.
    #[test]
    fn packages_with_a_dot_in_their_last_word() {
        let wanted = Wanted {
            structs: BTreeSet::from(["gopkg.in/yaml.v3.Node"]),
            functions: BTreeSet::from(["gopkg.in/ini%2ev1.(*File).Section", "net/http.(*conn).serve"]),
            sources: Vec::new(),
        };
        let packages = ["gopkg.in/ini.v1", "gopkg.in/yaml.v3", "net/http"];
        assert!(wanted.packages().iter().eq(packages), "{:?}", wanted.packages());
    }
}
