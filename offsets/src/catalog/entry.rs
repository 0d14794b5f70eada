//! An entry of the catalog: one instrumented (or recorded) library.

use serde::{Deserialize, Serialize};

use super::operation::Operation;
use super::range::Range;
use super::types::WantedType;
use super::{
    role::{Role, Unless},
    site::Site,
};
use crate::later::Later;
use crate::{Version, names};

/// One instrumented (or recorded) library.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Entry {
    /// `net/http.server`.
    pub id: String,
    /// What a person calls it.
    pub title: String,
    /// The Go module that owns it; `std` is the standard library.
    pub module: String,
    /// The module's versions that it covers.
    pub versions: Range,
    /// Whether the agent of this version traces it.
    pub status: Status,
    /// Linker names: any of them in pclntab means that the library is in the binary. None at all: the entry is there for
    /// the database alone, and no Plan speaks of it.
    pub present: Vec<String>,
    /// Linker names: any of them in pclntab means that it is not this entry's copy of the library, but another entry's.
    pub absent: Vec<String>,
    /// What makes the library none of the program's concern: it is left alone.
    pub unless: Vec<Unless>,
    /// Functions whose closures are told by their addresses: what a caller gets from them is such a function value.
    pub closures: Vec<String>,
    /// Structs to record beside those of the fields.
    pub structs: Later<Vec<String>>,
    /// Functions to record beside those of `present` and the roles.
    pub functions: Later<Vec<String>>,
    /// Go programs that make every struct and function of this entry reachable; none where the database has nothing of it.
    pub target: Option<Target>,
    /// What is probed.
    pub roles: Vec<Role>,
    /// What is read.
    pub fields: Later<Vec<Field>>,
    /// What interface values are compared with.
    pub itabs: Later<Vec<Itab>>,
    /// Maps that are walked.
    pub maps: Vec<Map>,
    /// Structs whose size is wanted, to step through a slice of them.
    pub sizes: Later<Vec<WantedType>>,
    /// Types whose descriptor is wanted, to recognise what an `interface {}` holds.
    pub types: Later<Vec<WantedType>>,
    /// What comes of it. The embedded entries have none: nothing asks at run time, and no program is to be bigger or slower for it.
    #[serde(skip)]
    pub operations: Vec<Operation>,
    /// The file it was read from.
    pub file: String,
}

/// Whether the agent of this version traces a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It does.
    Instrumented,
    /// Its layouts are recorded; tracing comes later.
    Recorded,
    /// The user's own: it is planned, and no spans are made of it yet.
    Custom,
}

/// The program that offsetgen compiles, a file of `catalog/targets/`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub file: String,
    /// Versions that need another one.
    pub variants: Vec<Variant>,
}

/// A target for some versions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Variant {
    /// Which.
    pub versions: Range,
    /// The program's name.
    pub file: String,
}

impl Target {
    /// The program for a version: that of the first variant that covers it, else the general one.
    pub fn file_for(&self, version: &Version) -> &str {
        let variant = self.variants.iter().find(|variant| variant.versions.contains(version));
        variant.map_or(&self.file, |variant| &variant.file)
    }

    /// All its programs.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let variants = self.variants.iter().map(|variant| variant.file.as_str());
        std::iter::once(self.file.as_str()).chain(variants)
    }
}

/// A struct field that is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Field {
    /// The struct with its full import path (`net/http.Request`).
    pub type_name: String,
    /// The field.
    pub name: String,
    /// Its Go type with full import paths (`*net/url.URL`).
    pub kind: String,
    /// The versions of the struct's owner (`names::owner`) that have it so: mostly the entry's module.
    pub versions: Range,
    /// Whether the library is refused without it.
    pub required: bool,
    /// Whether nothing is missing where nobody knows it: it is of a library that many programs are without.
    pub if_present: bool,
    /// What will be missing without it.
    pub gives: Option<String>,
    /// Line in [`Entry::file`].
    pub line: usize,
}

/// A pair of types whose itab the agent compares with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Itab {
    /// `net/http.ResponseWriter`.
    pub interface: String,
    /// `*net/http.response`; none: every type of which the binary has an itab for the interface.
    pub concrete: Option<String>,
    /// Whether the library is refused without it.
    pub required: bool,
    /// What will be missing without it.
    pub gives: Option<String>,
    /// Line in [`Entry::file`].
    pub line: usize,
}

/// A map type that the agent walks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Map {
    /// `map[string][]string`.
    pub type_name: String,
    /// Whether the library is refused without it.
    pub required: bool,
    /// What will be missing without it.
    pub gives: Option<String>,
    /// Line in [`Entry::file`].
    pub line: usize,
}

impl Entry {
    /// The fields of the entry's own module that a version is expected to have.
    pub fn fields_for<'a>(&'a self, version: &'a Version) -> impl Iterator<Item = &'a Field> {
        let own = |field: &&Field| owner(&field.type_name, [&*self.module]) == Some(&*self.module);
        self.fields.iter().filter(own).filter(|field| field.versions.contains(version))
    }

    /// The sites of a role that mean something in a version, in order of preference.
    pub fn sites_for<'a>(&self, role: &'a Role, version: &'a Version) -> impl Iterator<Item = &'a Site> {
        role.sites.iter().filter(|site| site.versions.contains(version))
    }

    /// What an entry names of another module, as an entry of that module: it has no target of its own, and covers no version.
    pub fn borrowed(&self, module: &str, structs: Vec<String>, functions: Vec<String>) -> Self {
        let is_borrowed = |field: &&Field| structs.contains(&field.type_name);
        Self {
            module: module.to_owned(),
            versions: Range::default(),
            present: Vec::new(),
            absent: Vec::new(),
            unless: Vec::new(),
            closures: Vec::new(),
            target: None,
            roles: Vec::new(),
            fields: self.fields.iter().filter(is_borrowed).cloned().collect::<Vec<_>>().into(),
            itabs: Later::default(),
            maps: Vec::new(),
            sizes: self
                .sizes
                .iter()
                .filter(|size| structs.contains(&size.type_name))
                .cloned()
                .collect::<Vec<_>>()
                .into(),
            types: Later::default(),
            operations: Vec::new(),
            structs: structs.into(),
            functions: functions.into(),
            ..self.clone()
        }
    }

    /// Whether it has no target, as what another module's entry names has none ([`Entry::borrowed`]): no version is built for it.
    pub fn is_borrowed(&self) -> bool {
        self.target.is_none()
    }

    /// The structs that it names, each once, in the order of the file.
    pub fn structs(&self) -> Vec<&str> {
        let sizes = self.sizes.iter().map(|size| &size.type_name);
        once(self.fields.iter().map(|field| &field.type_name).chain(sizes).chain(&*self.structs))
    }

    /// The functions that it names, each once: those that tell its presence, those of the roles, and the others.
    pub fn functions(&self) -> Vec<&str> {
        let sites = self.roles.iter().flat_map(|role| &role.sites);
        let named = sites.flat_map(|site| std::iter::once(&site.function).chain(&site.callee));
        once(self.present.iter().chain(named).chain(&*self.functions))
    }
}

/// The module that owns a struct: [`names::owner`] of its package.
pub fn owner<'m>(type_name: &str, modules: impl IntoIterator<Item = &'m str>) -> Option<&'m str> {
    names::owner(names::package(type_name)?, modules)
}

fn once<'a>(all: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in all {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}
