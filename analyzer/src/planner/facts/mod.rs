//! What the binary says of everything that the catalog names, from one pass over each table.

mod copies;
mod structs;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use offsets::catalog::Entry;

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
use crate::threads;
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
    /// What its type data says.
    pub types: OfTypes,
    /// What its DWARF says.
    pub dwarf: OfDwarf,
}

/// What the binary's type data says.
#[derive(Debug, Default)]
pub(super) struct OfTypes {
    /// Structs by full name.
    pub structs: HashMap<String, Fields>,
    /// Structs of one name that differ.
    pub ambiguous: HashSet<String>,
    /// Types by full name whose size or descriptor is wanted.
    pub descriptors: HashMap<String, Found>,
    /// (interface, concrete type) → address.
    pub itabs: HashMap<(String, String), u64>,
    /// All concrete types of an interface.
    pub implementers: HashMap<String, Implementers>,
    /// `map[K]V` → layout.
    pub maps: HashMap<String, MapLayout>,
}

/// What DWARF says.
#[derive(Debug, Default)]
pub(super) struct OfDwarf {
    /// Structs by full name.
    pub structs: HashMap<String, Fields>,
    /// Structs of one name that differ.
    pub ambiguous: HashSet<String>,
    /// Sizes of structs.
    pub sizes: HashMap<String, u64>,
    /// The file that it is in, when that is not the binary.
    pub file: Option<PathBuf>,
    /// Why DWARF that is there could not be read.
    pub error: Option<String>,
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
            types: OfTypes::default(),
            dwarf: OfDwarf::default(),
        };
        let (names, offsets, trees) = facts.find_functions(entries)?;
        let present: Vec<&'a Entry> = entries.iter().filter(|e| facts.is_present(e)).collect();
        if present.is_empty() {
            return Ok(facts);
        }
        let wanted = |e: &&'a Entry| {
            let fields = e.fields.iter().map(|f| f.type_name.as_str());
            fields.chain(e.sizes.iter().map(|size| size.type_name.as_str())).collect::<Vec<_>>()
        };
        let wanted: HashSet<&str> = present.iter().flat_map(wanted).collect();
        let types = || if options.types { OfTypes::find(go, &present) } else { Ok(OfTypes::default()) };
        let others = || {
            let inlined = inline::find(&go.image, &facts.functions, &offsets, trees);
            (inlined, if options.dwarf { OfDwarf::find(go, &wanted, debug) } else { OfDwarf::default() })
        };
        let (types, (inlined, dwarf)) = threads::both(options.threads, types, others);
        let named = |(i, inlining): (usize, Inlining<'a>)| Some((*names.get(i)?, inlining));
        facts.inlined_into = inlined?.into_iter().filter_map(named).collect();
        (facts.types, facts.dwarf) = (types?, dwarf);
        Ok(facts)
    }

    /// Whether the library is in the binary.
    pub fn is_present(&self, entry: &Entry) -> bool {
        entry.present.iter().any(|name| self.copies.contains_key(name.as_str()))
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
    fn find_functions(&mut self, entries: &'a [Entry]) -> Result<(Vec<&'a str>, Offsets, inline::Bounds)> {
        let sites = |e: &'a Entry| e.roles.iter().flat_map(|r| &r.sites);
        let mut names: Vec<&'a str> = entries.iter().flat_map(|e| &e.present).map(String::as_str).collect();
        for site in entries.iter().flat_map(sites) {
            names.push(&site.function);
            names.extend(site.callee.as_deref().into_iter().chain(site.results_of.as_deref()));
            names.extend(site.by_name.iter().chain(&site.callers).map(String::as_str));
            names.extend(closures::enclosing(&site.function));
        }
        names.push(PLUGIN_OPEN);
        names.sort_unstable();
        names.dedup();
        let offsets = self.functions.name_offsets(&Names::new(names.iter().copied()))?;
        let (mut trees, mut found) = (inline::Bounds::default(), 0);
        if offsets.is_empty() {
            return Ok((names, offsets, trees));
        }
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
}

impl OfTypes {
    fn find(go: &GoImage<'_>, present: &[&Entry]) -> Result<Self> {
        let mut out = Self::default();
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
            if let Some(short) = types.short_name(t).filter(|short| wanted.may_end(short)) {
                let bare = bare(short);
                described.look_at(&types, t, &bare);
                if t.kind == Kind::Struct && t.is_named() && over.is_none() {
                    over = seen.keep(&types, t, &bare, &structs).err();
                }
            }
            // None is of another kind than a map.
            if let Some(i) = map_names.iter().position(|name| types.has_underlying_name(t, name)) {
                let name = map_names.swap_remove(i);
                out.maps.extend(maps::layout(&types, t).map(|layout| (name.to_owned(), layout.into())));
            }
        })?;
        out.descriptors = described.into_found();
        over.map_or(Ok(()), Err)?;
        out.implementers = implementers::find(&types, present)?;
        (out.structs, out.ambiguous) = (seen.structs, seen.ambiguous);
        out.find_itabs(&types, present);
        Ok(out)
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
}

impl OfDwarf {
    /// The binary's own, else that of its debug file.
    fn find(go: &GoImage<'_>, wanted: &HashSet<&str>, debug: &Search<'_>) -> Self {
        if [".debug_info", ".zdebug_info"].iter().any(|name| go.image.section(name).is_some()) {
            return Self::read(go.image.file, wanted);
        }
        let outcome = debug.run(go.image.file, notes::build_id(&go.image).gnu.as_deref());
        let Some((path, bytes)) = outcome.found else {
            let rejected = (!outcome.rejected.is_empty()).then(|| outcome.rejected.join(", "));
            return Self { error: rejected, ..Self::default() };
        };
        let mut out = Self::read(&bytes, wanted);
        if let Err(error) = bytes.is_unchanged() {
            out = Self { error: Some(error.to_string()), ..Self::default() };
        }
        out.error = out.error.map(|error| format!("{}: {error}", path.display()));
        out.file = Some(path);
        out
    }

    fn read(file: &[u8], wanted: &HashSet<&str>) -> Self {
        let structs = match dwarf::structs(file, wanted) {
            Ok(structs) => structs,
            Err(error) => return Self { error: Some(error.to_string()), ..Self::default() },
        };
        let fields = |list: Vec<(String, u64, String)>| {
            list.into_iter().map(|(name, offset, kind)| (name, (offset, kind))).collect()
        };
        Self {
            structs: structs.fields.into_iter().map(|(name, list)| (name, fields(list))).collect(),
            ambiguous: structs.ambiguous,
            sizes: structs.sizes,
            ..Self::default()
        }
    }
}
