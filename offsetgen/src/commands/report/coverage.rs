//! One module in numbers.
//!
//! ```text
//! known     = the data's versions ∪ its holes ∪ the user's file
//! buildable = known - withheld - does not compile
//! recorded  = compiled + following one with the same source
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use offsets::catalog::Entry;
use offsets::database::format::{Document, Hole, Tested};
use offsets::{STD, Version};
use serde::{Serialize, Serializer};

use crate::go::listing::{self, Versions};
use crate::go::release::{Known, spell};
use crate::record::observations::{Build, Observations};

/// What `--json` prints of a module.
#[derive(Debug, Serialize)]
pub struct Coverage {
    pub module: String,
    /// Versions that are known.
    pub known: usize,
    /// Of those, what nobody can have.
    pub withheld: usize,
    /// What does not compile.
    pub compile: usize,
    /// What could not be had last time.
    pub fetch: usize,
    /// What was not tried yet.
    pub pending: usize,
    /// Known, and neither withheld nor broken.
    pub buildable: usize,
    pub recorded: usize,
    /// Recorded of buildable, rounded down; null where nothing is buildable.
    pub percent: Share,
    /// Of the recorded, compiled themselves.
    pub built: usize,
    /// Of the recorded, those that follow one with the same source.
    pub follow: usize,
    pub prereleases: usize,
    pub retracted: usize,
    /// By axis: versions that were compiled for it.
    pub axes: BTreeMap<String, usize>,
    /// Compiled for arm64.
    pub arm64: usize,
    /// Compiled with another Go, a newer dependency or an experiment.
    pub other: usize,
    /// Axes of recorded versions that are holes.
    pub axis_holes: usize,
    pub structs: usize,
    pub functions: usize,
    /// Structs and functions of the catalog that some version declares and the target does not reach there: those versions.
    pub unreached: BTreeMap<String, Vec<String>>,
    /// Structs and functions that the catalog has come to name since some version was recorded: those versions.
    pub unasked: BTreeMap<String, Vec<String>>,
    /// Structs and functions of the catalog that were looked for and exist in no recorded version.
    pub nowhere: BTreeSet<String>,
    pub holes: Vec<Hole>,
    /// Every known version, ascending.
    #[serde(skip)]
    pub order: Vec<String>,
}

/// Thousandths, rounded down, so that 98.96 % does not pass for 99.0 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(Option<usize>);

impl Share {
    /// So many of so many.
    pub fn new(part: usize, whole: usize) -> Self {
        Self((part * 1000).checked_div(whole))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(tenths) => write!(f, "{}.{}", tenths / 10, tenths % 10),
            None => f.write_str("-"),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(tenths) => serializer.serialize_f64(tenths as f64 / 10.0),
            None => serializer.serialize_none(),
        }
    }
}

/// The versions that a file names, as a build takes them: of Go releases alone, of others what the catalog covers.
pub fn of_file(text: &str, module: &str, entries: &[&Entry]) -> Versions {
    let named = listing::of_file(text, module);
    let mut versions = if module == STD {
        let mut known = Known::default();
        known.add(named);
        let texts: Vec<String> = known.all().into_iter().map(spell).collect();
        listing::parse(module, texts.iter().map(String::as_str))
    } else {
        listing::parse(module, named)
    };
    let covered =
        |version: &Version| entries.iter().any(|e| !e.is_borrowed() && e.versions.contains(version));
    versions.retain(|version, _| covered(version));
    versions
}

impl Coverage {
    /// Counts what the data has, and what else is known to exist.
    pub fn new(document: &Document, entries: &[&Entry], listed: &Versions) -> Self {
        let all = Observations::read(document);
        let (known, holes) = known(&all, listed);
        let [withheld, compile, fetch, pending] =
            ["withheld", "compile", "fetch", "pending"].map(|stage| missing(&holes, stage));
        let such = |is: fn(&Tested) -> bool| document.versions.iter().filter(|tested| is(tested)).count();
        let (recorded, follow) = (such(|_| true), such(|tested| tested.same_as.is_some()));
        let buildable = known.len().saturating_sub(withheld + compile);
        let axes = axes(&all);
        Self {
            module: document.module.clone(),
            known: known.len(),
            withheld,
            compile,
            fetch,
            pending,
            buildable,
            recorded,
            percent: Share::new(recorded, buildable),
            built: recorded - follow,
            follow,
            prereleases: such(|tested| tested.prerelease),
            retracted: such(|tested| tested.retracted),
            arm64: axes.get("arm64").copied().unwrap_or_default(),
            other: axes.iter().filter(|(axis, _)| axis.contains('+')).map(|(_, count)| count).sum(),
            axes,
            axis_holes: holes.iter().filter(|hole| hole.axis.is_some()).count(),
            structs: document.structs.values().filter(|record| !record.sizes.is_empty()).count(),
            functions: document.functions.values().filter(|record| !record.runs.is_empty()).count(),
            unreached: unreached(&all, entries),
            unasked: unasked(&all, entries),
            nowhere: nowhere(document, entries),
            holes,
            order: known.into_values().collect(),
        }
    }

    /// Whether so much is recorded as is promised.
    pub fn is_complete(&self) -> bool {
        self.recorded > 0 && self.recorded * 100 >= self.buildable * 99
    }
}

/// Every version that is known, and the holes.
fn known(all: &Observations, listed: &Versions) -> (Versions, Vec<Hole>) {
    let recorded = all.builds().map(|(version, build)| (version, &build.tested.version));
    let holes = all.holes().map(|(version, hole)| (version, &hole.version));
    let mut known: Versions =
        recorded.chain(holes).map(|(version, text)| (version.clone(), text.clone())).collect();
    let mut union: Versions = listed.clone();
    union.extend(known.clone());
    listing::without_pseudo(&mut union);
    let mut holes: BTreeMap<(Version, Option<String>), Hole> =
        all.holes().map(|(version, hole)| ((version.clone(), hole.axis.clone()), hole.clone())).collect();
    for (version, text) in union {
        if known.contains_key(&version) {
            continue;
        }
        let (stage, reason) = ("pending".to_owned(), "no run has tried it".to_owned());
        let hole = Hole { version: text.clone(), axis: None, stage, reason };
        holes.insert((version.clone(), None), hole);
        known.insert(version, text);
    }
    (known, holes.into_values().collect())
}

/// How many versions are holes of a stage.
fn missing(holes: &[Hole], stage: &str) -> usize {
    holes.iter().filter(|hole| hole.axis.is_none() && hole.stage == stage).count()
}

/// By axis: how many versions were compiled for it. What follows was not.
fn axes(all: &Observations) -> BTreeMap<String, usize> {
    let mut axes = BTreeMap::new();
    for (_, build) in all.builds().filter(|(_, build)| build.tested.same_as.is_none()) {
        for axis in build.tested.arch.iter().chain(&build.tested.agrees) {
            *axes.entry(axis.clone()).or_default() += 1;
        }
    }
    axes
}

/// What the catalog names of a module.
fn named<'a>(entries: &[&'a Entry]) -> BTreeSet<&'a str> {
    entries.iter().flat_map(|entry| entry.structs().into_iter().chain(entry.functions())).collect()
}

fn nowhere(document: &Document, entries: &[&Entry]) -> BTreeSet<String> {
    let Document { structs, functions, .. } = document;
    let structs = structs.iter().filter(|(_, s)| s.sizes.is_empty() && s.unreached.is_empty());
    let functions = functions.iter().filter(|(_, f)| f.runs.is_empty() && f.unreached.is_empty());
    let names = structs.map(|(name, _)| name).chain(functions.map(|(name, _)| name));
    let named = named(entries);
    names.filter(|name| named.contains(name.as_str())).cloned().collect()
}

fn unreached(all: &Observations, entries: &[&Entry]) -> BTreeMap<String, Vec<String>> {
    let named = named(entries);
    let names = |build: &Build| -> BTreeSet<String> {
        let all =
            build.axes.values().flat_map(|shape| shape.unreached.iter().chain(&shape.unreached_functions));
        // What the target reaches on another axis is a matter of this axis, as maps are of `noswissmap`.
        let is_reached = |name: &&String| build.axes.values().any(|shape| shape.knows(name));
        all.filter(|name| !is_reached(name))
            .filter(|name| entries.is_empty() || named.contains(name.as_str()))
            .cloned()
            .collect()
    };
    let mut unreached: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, build) in all.builds() {
        for name in names(build) {
            unreached.entry(name).or_default().push(build.tested.version.clone());
        }
    }
    unreached
}

fn unasked(all: &Observations, entries: &[&Entry]) -> BTreeMap<String, Vec<String>> {
    let mut unasked: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (version, build) in all.builds() {
        let own: Vec<&Entry> =
            entries.iter().filter(|entry| entry.versions.contains(version)).copied().collect();
        let is_asked = |name: &str| build.axes.values().any(|shape| shape.knows(name) || shape.lacks(name));
        for name in named(&own).into_iter().filter(|name| !is_asked(name)) {
            unasked.entry(name.to_owned()).or_default().push(build.tested.version.clone());
        }
    }
    unasked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_down() {
        for (part, whole, expected) in
            [(9896, 10_000, "98.9"), (9899, 10_000, "98.9"), (99, 100, "99.0"), (1, 1, "100.0"), (0, 0, "-")]
        {
            assert_eq!(Share::new(part, whole).to_string(), expected);
        }
    }

    #[test]
    fn a_file_of_go_releases_has_no_pre_releases_and_nothing_too_old() {
        let text = "std 1.18.1\nstd go1.22.3\nstd 1.22.3\nstd 1.23rc1\nstd 1.20.0\nother v1.0.0\n";
        let own: Vec<&Entry> =
            offsets::catalog::entries().iter().filter(|entry| entry.module == STD).collect();
        let versions = of_file(text, STD, &own);
        assert!(versions.values().eq(["1.20", "1.22.3"]));
        assert!(of_file(text, "other", &[]).is_empty(), "the catalog has no such module");
    }
}
