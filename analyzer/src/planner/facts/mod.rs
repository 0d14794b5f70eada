//! What the binary says of everything that the catalog names, from one pass over each table.

mod copies;
mod structs;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use offsets::catalog::{Entry, Has};

use super::closures;
use super::described::{Described, Found};
use super::implementers::{self, Implementers};
use super::names::{bare, bare_name, has_bare_name};
use crate::debug_file::Search;
use crate::dwarf;
use crate::error::Result;
use crate::go::functions::Functions;
use crate::go::inline::Inlining;
use crate::go::types::{Kind, Types, closure, itabs, maps};
use crate::go::wanted::{Endings, Names, Offsets};
use crate::go::{inline, notes};
use crate::go_image::GoImage;
use crate::options::Options;
use crate::plan::MapLayout;
use copies::within_budget;
pub(super) use copies::{Copies, MAX_COPIES};
pub(super) use structs::Fields;
use structs::{Seen, Structs};

/// What a program that loads plugins calls; `plugin.Open` is always inlined.
const PLUGIN_OPEN: &str = "plugin.open";

/// What the binary says.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// The function table.
    pub functions: Functions<'a>,
    /// The copies of the wanted functions.
    pub copies: HashMap<&'a str, Copies<'a>>,
    /// What each wanted one was inlined into.
    pub inlined_into: HashMap<&'a str, Inlining<'a>>,
    /// Structs by full name, from type data.
    pub types: HashMap<String, Fields>,
    /// Structs of one name that differ.
    pub ambiguous: HashSet<String>,
    /// Structs by full name, from DWARF.
    pub dwarf: HashMap<String, Fields>,
    /// Structs of one name that differ, by DWARF.
    pub ambiguous_dwarf: HashSet<String>,
    /// The file that the DWARF is in, when that is not the binary.
    pub debug_file: Option<PathBuf>,
    /// Why DWARF that is there could not be read.
    pub dwarf_error: Option<String>,
    /// Sizes of structs, from DWARF.
    pub dwarf_sizes: HashMap<String, u64>,
    /// Types by full name whose size or descriptor is wanted, from type data.
    pub descriptors: HashMap<String, Found>,
    /// (interface, concrete type) → address.
    pub itabs: HashMap<(String, String), u64>,
    /// All concrete types of an interface.
    pub implementers: HashMap<String, Implementers>,
    /// The functions whose closures are wanted → the addresses of these.
    pub closures: HashMap<&'a str, Vec<u64>>,
    /// `map[K]V` → layout.
    pub maps: HashMap<String, MapLayout>,
}

impl<'a> Facts<'a> {
    /// Goes through the tables.
    pub fn gather(
        go: &'a GoImage<'a>,
        entries: &'a [Entry],
        options: &Options,
        debug: &Search<'_>,
    ) -> Result<Self> {
        let functions = go.functions()?;
        let mut facts = Facts {
            functions,
            copies: HashMap::new(),
            inlined_into: HashMap::new(),
            types: HashMap::new(),
            ambiguous: HashSet::new(),
            dwarf: HashMap::new(),
            ambiguous_dwarf: HashSet::new(),
            debug_file: None,
            dwarf_error: None,
            dwarf_sizes: HashMap::new(),
            descriptors: HashMap::new(),
            itabs: HashMap::new(),
            implementers: HashMap::new(),
            closures: HashMap::new(),
            maps: HashMap::new(),
        };
        let (names, offsets, trees) = facts.find_functions(entries)?;
        let inlined = inline::find(&go.image, &facts.functions, &offsets, trees)?;
        let named = |(i, inlining): (usize, Inlining<'a>)| Some((*names.get(i)?, inlining));
        facts.inlined_into = inlined.into_iter().filter_map(named).collect();
        let present: Vec<&'a Entry> = entries.iter().filter(|e| facts.is_present(e)).collect();
        if present.is_empty() {
            return Ok(facts);
        }
        facts.closures = closures::of(&facts.functions, present.iter().flat_map(|e| &e.closures))?;
        let wanted = |e: &&'a Entry| {
            let fields = e.fields.iter().map(|f| f.type_name.as_str());
            fields.chain(e.sizes.iter().map(|size| size.type_name.as_str())).collect::<Vec<_>>()
        };
        let wanted: HashSet<&str> = present.iter().flat_map(wanted).collect();
        if options.types {
            facts.find_types(go, &present)?;
        }
        if options.dwarf {
            facts.find_dwarf(go, &wanted, debug);
        }
        Ok(facts)
    }

    /// Whether the library is in the binary: one of its functions, or an inlined copy of one.
    pub fn is_present(&self, entry: &Entry) -> bool {
        let is_there = |name: &str| self.copies.contains_key(name) || self.inlined_into.contains_key(name);
        entry.present.iter().any(|name| is_there(name)) && !entry.absent.iter().any(|name| is_there(name))
    }

    /// Where a wanted function was inlined, for a reader: `main.f and 3 more`.
    pub fn holders(&self, name: &str) -> Option<String> {
        let inlining = self.inlined_into.get(name)?;
        let first = inlining.holders.first().map(|first| self.functions.name(first)).unwrap_or_default();
        Some(match inlining.copies.saturating_sub(1) {
            0 => first,
            more => format!("{first} and {more} more"),
        })
    }

    /// Whether the program can load plugins, each with a moduledata and functions of its own.
    pub fn loads_plugins(&self) -> bool {
        self.copies.contains_key(PLUGIN_OPEN)
    }

    /// The wanted names, their offsets, and where the inline trees are.
    fn find_functions(&mut self, entries: &'a [Entry]) -> Result<(Vec<&'a str>, Offsets, inline::Trees)> {
        let sites = |e: &'a Entry| e.roles.iter().flat_map(|r| &r.sites);
        let mut names: Vec<&'a str> =
            entries.iter().flat_map(|e| e.present.iter().chain(&e.absent)).map(String::as_str).collect();
        for site in entries.iter().flat_map(sites) {
            names.push(&site.function);
            names.extend(site.callee.as_deref().into_iter().chain(site.results_of.as_deref()));
            names.extend(site.by_name.iter().chain(&site.callers).chain(&site.through).map(String::as_str));
            names.extend(closures::enclosing(&site.function));
        }
        let of_roles = entries.iter().flat_map(|e| &e.roles).flat_map(|role| &role.unless);
        let unless = of_roles.chain(entries.iter().flat_map(|e| &e.unless));
        names.extend(unless.filter_map(|unless| match &unless.has {
            Has::Function(name) => Some(name.as_str()),
            Has::Implementer { .. } => None,
        }));
        names.push(PLUGIN_OPEN);
        names.sort_unstable();
        names.dedup();
        let offsets = self.functions.name_offsets(&Names::new(names.iter().copied()))?;
        if offsets.is_empty() {
            return Ok((names, offsets, inline::Trees::default()));
        }
        let (mut trees, mut found) = (inline::Trees::of(&self.functions), 0);
        for function in self.functions.iter() {
            trees.add(&self.functions, &function);
            if let Some(name) = offsets.position(function.name_offset).and_then(|i| names.get(i)) {
                found += 1;
                within_budget(found)?;
                self.copies.entry(name).or_default().add(function);
            }
        }
        Ok((names, offsets, trees))
    }

    fn find_types(&mut self, go: &'a GoImage<'a>, present: &[&'a Entry]) -> Result<()> {
        let types = go.types();
        let (structs, mut seen) = (Structs::new(present), Seen::default());
        let mut map_names: Vec<&str> =
            present.iter().flat_map(|e| &e.maps).map(|m| m.type_name.as_str()).collect();
        map_names.sort_unstable();
        map_names.dedup();
        let mut described = Described::new(present);
        let wanted = Endings::new(structs.names().chain(described.names()));
        let mut over = None;
        closure::walk(&types, |t| {
            // The types that the catalog names are defined ones, or pointers to those: of the others, which are most, no name is read.
            let short = || types.short_name(t).filter(|short| wanted.may_end(short));
            if let Some(short) = t.is_named().then(short).flatten() {
                let bare = bare(short);
                described.look_at(&types, t, &bare);
                if t.kind == Kind::Struct && over.is_none() {
                    over = seen.keep(&types, t, &bare, &structs).err();
                }
            }
            // None is of another kind than a map.
            if let Some(i) = map_names.iter().position(|name| types.has_underlying_name(t, name)) {
                let name = map_names.swap_remove(i);
                self.maps.extend(maps::layout(&types, t).map(|layout| (name.to_owned(), layout.into())));
            }
        })?;
        self.descriptors = described.into_found();
        over.map_or(Ok(()), Err)?;
        self.implementers = implementers::find(&types, present)?;
        (self.types, self.ambiguous) = (seen.structs, seen.ambiguous);
        self.find_itabs(&types, present);
        Ok(())
    }

    fn find_itabs(&mut self, types: &Types<'_>, present: &[&Entry]) {
        let wanted: Vec<_> = present.iter().flat_map(|e| &e.itabs).collect();
        let pairs = wanted.iter().filter_map(|i| Some((&i.interface, i.concrete.as_ref()?)));
        let wanted: Vec<(&String, &String)> = pairs.collect();
        let interfaces = Names::new(wanted.iter().map(|(interface, _)| bare_name(interface)));
        // Itabs of one interface have one descriptor: which of the wanted pairs have it is looked up once.
        let mut known: HashMap<u64, Vec<&(&String, &String)>> = HashMap::new();
        for itab in itabs::all(types) {
            if !has_bare_name(types, itab.interface, &interfaces) {
                continue;
            }
            let has_it = |pair: &&(&String, &String)| types.has_full_name(itab.interface, pair.0);
            let pairs = known.entry(itab.interface).or_insert_with(|| wanted.iter().filter(has_it).collect());
            let is_it = |(_, concrete): &&&(&String, &String)| types.has_full_name(itab.concrete, concrete);
            if let Some((interface, concrete)) = pairs.iter().find(is_it) {
                let names = ((*interface).clone(), (*concrete).clone());
                self.itabs.entry(names).or_insert(itab.vaddr);
            }
        }
    }

    /// The binary's own DWARF, else that of its debug file.
    fn find_dwarf(&mut self, go: &GoImage<'_>, wanted: &HashSet<&str>, debug: &Search<'_>) {
        if [".debug_info", ".zdebug_info"].iter().any(|name| go.image.section(name).is_some()) {
            return self.read_dwarf(go.image.file, wanted);
        }
        let outcome = debug.run(go.image.file, notes::build_id(&go.image).gnu.as_deref());
        if let Some((path, bytes)) = outcome.found {
            self.read_dwarf(&bytes, wanted);
            if let Err(error) = bytes.is_unchanged() {
                self.dwarf.clear();
                self.ambiguous_dwarf.clear();
                self.dwarf_sizes.clear();
                self.dwarf_error = Some(error.to_string());
            }
            self.dwarf_error = self.dwarf_error.take().map(|error| format!("{}: {error}", path.display()));
            self.debug_file = Some(path);
        } else if !outcome.rejected.is_empty() {
            self.dwarf_error = Some(outcome.rejected.join(", "));
        }
    }

    fn read_dwarf(&mut self, file: &[u8], wanted: &HashSet<&str>) {
        match dwarf::structs(file, wanted) {
            Ok(structs) => {
                let fields = |list: Vec<(String, u64, String)>| {
                    list.into_iter().map(|(name, offset, kind)| (name, (offset, kind))).collect()
                };
                self.dwarf = structs.fields.into_iter().map(|(name, list)| (name, fields(list))).collect();
                self.ambiguous_dwarf = structs.ambiguous;
                self.dwarf_sizes = structs.sizes;
            }
            Err(error) => self.dwarf_error = Some(error.to_string()),
        }
    }
}
