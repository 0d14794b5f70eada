//! What one build has shown: how the wanted structs are laid out, and how the wanted functions are called.

use std::collections::{BTreeMap, BTreeSet};

use offsets::database::format::{Inlined, Parameter};
use serde::{Deserialize, Serialize};

/// A struct.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Bytes.
    pub size: u64,
    /// By name: offset and type.
    pub fields: BTreeMap<String, (u64, String)>,
}

/// A function that is in a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signature {
    /// Whether its calls are.
    pub inlined: Inlined,
    /// Receiver first.
    pub params: Vec<Parameter>,
    /// In order.
    pub results: Vec<Parameter>,
}

/// All that was looked for in one build; none is what does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// By name with full import path.
    pub structs: BTreeMap<String, Option<Layout>>,
    /// Structs that the source declares and the program does not have: nothing is known of them.
    pub unreached: BTreeSet<String>,
    /// By linker name.
    pub functions: BTreeMap<String, Option<Signature>>,
    /// Functions that the source declares and the program does not have.
    pub unreached_functions: BTreeSet<String>,
}

impl Shape {
    /// All that was looked for.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        let structs = self.structs.keys().chain(&self.unreached);
        structs.chain(self.functions.keys()).chain(&self.unreached_functions)
    }

    /// Whether it is known if that exists, and how.
    pub fn knows(&self, name: &str) -> bool {
        self.structs.contains_key(name) || self.functions.contains_key(name)
    }

    /// Whether that is declared and not in the program.
    pub fn lacks(&self, name: &str) -> bool {
        self.unreached.contains(name) || self.unreached_functions.contains(name)
    }

    /// What it says of some names.
    #[must_use]
    pub fn filtered(mut self, is_wanted: impl Fn(&String) -> bool) -> Self {
        self.structs.retain(|name, _| is_wanted(name));
        self.unreached.retain(&is_wanted);
        self.functions.retain(|name, _| is_wanted(name));
        self.unreached_functions.retain(&is_wanted);
        self
    }

    /// Whether two builds have the same structs, and functions that are called in the same way.
    pub fn is_laid_out_as(&self, other: &Self) -> bool {
        let calls = |shape: &Self| -> BTreeMap<String, _> {
            let functions = shape.functions.iter();
            functions
                .map(|(name, s)| (name.clone(), s.as_ref().map(|s| (s.params.clone(), s.results.clone()))))
                .collect()
        };
        self.structs == other.structs && calls(self) == calls(other)
    }
}
