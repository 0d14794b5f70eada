//! Single observations, and how they become runs: the form in which `offsetgen` gathers and merges figures.
//!
//! [`Observations::read`] spreads a document out to one [`Shape`] per version and axis; [`Observations::into_document`]
//! folds them again. The fold is canonical: the same observations give the same document, in whatever order they came.
//!
//! An axis is what a version was compiled for: an architecture, or an architecture with another Go or dependency than the
//! usual one (`amd64+go1.19.13`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::format::{
    Document, Function, FunctionRun, Hole, Inlined, Parameter, Run, SizeRun, Span, Struct, Tested, Toolchain,
};
use crate::Version;

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

    /// Takes over what another look at the same thing found; false where the two contradict each other. One may have looked for
    /// more, or have reached what the other did not.
    #[must_use]
    fn join(&mut self, other: Self) -> bool {
        let agree = self.structs.iter().all(|(name, own)| other.structs.get(name).is_none_or(|o| o == own))
            && self.functions.iter().all(|(name, own)| other.functions.get(name).is_none_or(|o| o == own));
        self.structs.extend(other.structs);
        self.functions.extend(other.functions);
        self.unreached.extend(other.unreached);
        self.unreached.retain(|name| !self.structs.contains_key(name));
        self.unreached_functions.extend(other.unreached_functions);
        self.unreached_functions.retain(|name| !self.functions.contains_key(name));
        agree
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
}

/// Everything that is known of one module, version by version.
#[derive(Debug, Clone, Default)]
pub struct Observations {
    builds: BTreeMap<Version, Build>,
    /// By version and axis; without one the whole version is missing.
    holes: BTreeMap<(Version, Option<String>), Hole>,
    toolchains: BTreeSet<Toolchain>,
    settings: BTreeMap<String, String>,
}

/// Two recorded different things of one version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{version}: {what} differs between the two; build that version again")]
pub struct Conflict {
    /// The version.
    pub version: String,
    /// What differs.
    pub what: String,
}

/// What one version's builds have shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Where it came from; `arch` is that of `axes`.
    pub tested: Tested,
    /// By axis.
    pub axes: BTreeMap<String, Shape>,
}

impl Observations {
    /// Spreads a document out.
    pub fn read(document: &Document) -> Self {
        let mut all = Self { settings: document.settings.clone(), ..Self::default() };
        all.toolchains.extend(document.toolchains.iter().cloned());
        let parse = |text: &str| Version::parse(&document.module, text);
        for tested in &document.versions {
            if let Some(version) = parse(&tested.version) {
                let axes = tested.arch.iter().map(|axis| (axis.clone(), Shape::default())).collect();
                all.builds.insert(version, Build { tested: tested.clone(), axes });
            }
        }
        for hole in &document.holes {
            all.holes
                .extend(parse(&hole.version).map(|version| ((version, hole.axis.clone()), hole.clone())));
        }
        for (name, record) in &document.structs {
            all.read_struct(&document.module, name, record);
        }
        for (name, record) in &document.functions {
            for span in &record.tested {
                for shape in all.shapes(&document.module, (&span.from, &span.to), &span.arch) {
                    shape.functions.insert(name.clone(), None);
                }
            }
            for span in &record.unreached {
                for shape in all.shapes(&document.module, (&span.from, &span.to), &span.arch) {
                    shape.unreached_functions.insert(name.clone());
                }
            }
            for run in &record.runs {
                let FunctionRun { inlined, params, results, .. } = run.clone();
                let signature = Some(Signature { inlined, params, results });
                for shape in all.shapes(&document.module, (&run.from, &run.to), &run.arch) {
                    shape.functions.insert(name.clone(), signature.clone());
                }
            }
        }
        all
    }

    fn read_struct(&mut self, module: &str, name: &str, record: &Struct) {
        for span in &record.tested {
            for shape in self.shapes(module, (&span.from, &span.to), &span.arch) {
                shape.structs.insert(name.to_owned(), None);
            }
        }
        for span in &record.unreached {
            for shape in self.shapes(module, (&span.from, &span.to), &span.arch) {
                shape.unreached.insert(name.to_owned());
            }
        }
        for run in &record.sizes {
            for shape in self.shapes(module, (&run.from, &run.to), &run.arch) {
                let layout = Layout { size: run.size, fields: BTreeMap::new() };
                shape.structs.insert(name.to_owned(), Some(layout));
            }
        }
        for (field, run) in
            record.fields.iter().flat_map(|(field, runs)| runs.iter().map(move |run| (field, run)))
        {
            for shape in self.shapes(module, (&run.from, &run.to), &run.arch) {
                if let Some(Some(layout)) = shape.structs.get_mut(name) {
                    layout.fields.insert(field.clone(), (run.offset, run.r#type.clone()));
                }
            }
        }
    }

    /// The shapes of versions in a range, on some axes.
    fn shapes(
        &mut self,
        module: &str,
        (from, to): (&str, &str),
        axes: &[String],
    ) -> impl Iterator<Item = &mut Shape> {
        let (from, to) = (Version::parse(module, from), Version::parse(module, to));
        let inside = move |version: &Version| {
            from.as_ref().is_some_and(|from| from <= version) && to.as_ref().is_some_and(|to| version <= to)
        };
        let builds = self.builds.iter_mut().filter(move |(version, _)| inside(version));
        builds
            .flat_map(|(_, build)| build.axes.iter_mut())
            .filter(|(axis, _)| axes.contains(axis))
            .map(|(_, s)| s)
    }

    /// Records one version on one axis: all that was known of that pair is replaced. A hole there is one no more.
    pub fn record(&mut self, version: Version, tested: &Tested, axis: &str, shape: Shape) {
        self.fill(&version, axis);
        let build = self.builds.entry(version);
        let build = build.or_insert_with(|| Build { tested: tested.clone(), axes: BTreeMap::new() });
        let before = build.axes.insert(axis.to_owned(), shape);
        let mut agrees = std::mem::take(&mut build.tested.agrees);
        // What agreed with something else has to be compared anew.
        if !axis.contains('+') && before.as_ref() != build.axes.get(axis) {
            agrees.retain(|other| other.split('+').next() != Some(axis));
        }
        build.tested = Tested { agrees, ..tested.clone() };
        build.tested.arch = build.axes.keys().cloned().collect();
    }

    /// Notes that a version was compiled for another axis too, with the same result as its own.
    pub fn agree(&mut self, version: &Version, axis: &str) {
        self.fill(version, axis);
        if let Some(build) = self.builds.get_mut(version)
            && !build.tested.agrees.iter().any(|known| known == axis)
        {
            build.tested.agrees.push(axis.to_owned());
            build.tested.agrees.sort();
        }
    }

    /// A version is a hole no more, neither as a whole nor on this axis.
    fn fill(&mut self, version: &Version, axis: &str) {
        self.holes.remove(&(version.clone(), None));
        self.holes.remove(&(version.clone(), Some(axis.to_owned())));
    }

    /// Notes that a version needs a newer Go than its go.mod says.
    pub fn needs_go(&mut self, version: &Version, go: String) {
        let is_go = |axis: &Option<String>| axis.as_ref().is_some_and(|axis| axis.contains("+go1."));
        self.holes.retain(|(known, axis), _| known != version || !is_go(axis));
        if let Some(build) = self.builds.get_mut(version) {
            build.tested.go = Some(go);
        }
    }

    /// Notes which versions their maker has taken back.
    pub fn retract(&mut self, is_retracted: impl Fn(&Version) -> bool) {
        for (version, build) in &mut self.builds {
            build.tested.retracted |= is_retracted(version);
        }
    }

    /// Records that a version was not compiled since its source is another's: it has whatever that one has.
    pub fn follow(&mut self, version: Version, tested: &Tested) {
        let original = tested
            .same_as
            .as_ref()
            .and_then(|other| self.builds.values().find(|b| b.tested.version == *other));
        let Some(Build { tested: Tested { agrees, arch, toolchain, .. }, axes }) = original.cloned() else {
            return;
        };
        self.holes.retain(|(known, _), _| *known != version);
        self.builds
            .insert(version, Build { tested: Tested { agrees, arch, toolchain, ..tested.clone() }, axes });
    }

    /// Every follower again as its original now is, on all axes that this one has. What was not looked for in a follower stays
    /// so: the sources were not compared for the packages of what the catalog names since.
    pub fn refresh_followers(&mut self) {
        let refreshed = |build: &Build| {
            let original = build.tested.same_as.as_ref()?;
            let original = self.builds.values().find(|other| other.tested.version == *original)?;
            let names: BTreeSet<&String> = build.axes.values().flat_map(Shape::names).collect();
            let shapes = original.axes.iter();
            let axes =
                shapes.map(|(axis, s)| (axis.clone(), s.clone().filtered(|name| names.contains(name))));
            let Tested { agrees, arch, toolchain, .. } = original.tested.clone();
            let tested = Tested { agrees, arch, toolchain, ..build.tested.clone() };
            Some(Build { tested, axes: axes.collect() })
        };
        let followers = self.builds.iter().filter_map(|(v, build)| Some((v.clone(), refreshed(build)?)));
        let followers: Vec<(Version, Build)> = followers.collect();
        self.builds.extend(followers);
    }

    /// Says why a version, or an axis of a recorded one, is not recorded, unless it is. What is known for certain is not replaced
    /// by less: that something does not compile, by a proxy that is away.
    pub fn miss(&mut self, version: Version, hole: Hole) {
        let build = self.builds.get(&version);
        let known = match &hole.axis {
            None => build.is_some(),
            Some(axis) => {
                build.is_none_or(|build| build.axes.contains_key(axis) || build.tested.agrees.contains(axis))
            }
        };
        if !known {
            self.insert(version, hole);
        }
    }

    /// Says why a recorded version could not be built again on its first axis, for what the catalog names since.
    pub fn miss_again(&mut self, version: Version, hole: Hole, axis: &str) {
        if self.builds.contains_key(&version) {
            self.insert(version, Hole { axis: Some(axis.to_owned()), ..hole });
        }
    }

    fn insert(&mut self, version: Version, hole: Hole) {
        let certainty =
            |hole: &Hole| ["pending", "fetch", "withheld", "compile"].iter().position(|s| *s == hole.stage);
        let key = (version, hole.axis.clone());
        if self.holes.get(&key).is_none_or(|known| certainty(known) <= certainty(&hole)) {
            self.holes.insert(key, hole);
        }
    }

    /// Forgets which axes were not begun: whoever looks anew what is to be done says it again.
    pub fn forget_pending(&mut self, is_such: impl Fn(&str) -> bool) {
        self.holes.retain(|(_, axis), hole| {
            hole.stage != "pending" || !axis.as_ref().is_some_and(|axis| is_such(axis))
        });
    }

    /// A toolchain that compiled something.
    pub fn add_toolchain(&mut self, toolchain: &Toolchain) {
        self.toolchains.insert(toolchain.clone());
    }

    /// How a generator compiles.
    pub fn add_settings(&mut self, generator: &str, settings: &str) {
        self.settings.insert(generator.to_owned(), settings.to_owned());
    }

    /// The recorded versions, ascending.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        self.builds.keys()
    }

    /// The recorded versions with all that is known of them, ascending.
    pub fn builds(&self) -> impl Iterator<Item = (&Version, &Build)> {
        self.builds.iter()
    }

    /// What is known of one version.
    pub fn build(&self, version: &Version) -> Option<&Build> {
        self.builds.get(version)
    }

    /// The holes, ascending.
    pub fn holes(&self) -> impl Iterator<Item = (&Version, &Hole)> {
        self.holes.iter().map(|((version, _), hole)| (version, hole))
    }

    /// Takes over what another has: its builds where this has none on that axis, its holes where this has nothing. Two that
    /// saw different things under one version's name are an error, and nothing is settled by the order.
    pub fn merge(&mut self, other: Self) -> Result<(), Conflict> {
        self.toolchains.extend(other.toolchains);
        self.settings.extend(other.settings);
        for (version, build) in other.builds {
            self.holes.remove(&(version.clone(), None));
            for axis in build.axes.keys().chain(&build.tested.agrees) {
                self.holes.remove(&(version.clone(), Some(axis.clone())));
            }
            match self.builds.get_mut(&version) {
                None => drop(self.builds.insert(version, build)),
                Some(known) => {
                    let conflict = |what| Conflict { version: build.tested.version.clone(), what };
                    if known.tested.hash != build.tested.hash {
                        return Err(conflict("the module's hash".to_owned()));
                    }
                    for (axis, shape) in build.axes {
                        if !known.axes.entry(axis.clone()).or_default().join(shape) {
                            return Err(conflict(format!("what was compiled for {axis}")));
                        }
                    }
                    let (ours, theirs) = (&known.tested, &build.tested);
                    let agrees = ours.agrees.iter().chain(&theirs.agrees).cloned().collect();
                    let retracted = ours.retracted || theirs.retracted;
                    // Of two that were built, the one that says more of itself, whichever came first.
                    let rank = |tested: &Tested| {
                        let toolchain = Version::parse(crate::STD, &tested.toolchain);
                        (tested.generator.clone(), toolchain, tested.go.clone(), tested.modules.clone())
                    };
                    let newer = if rank(theirs) > rank(ours) { theirs } else { ours }.clone();
                    known.tested = Tested { agrees, retracted, ..newer };
                    known.tested.arch = known.axes.keys().cloned().collect();
                    known.tested.agrees.sort();
                    known.tested.agrees.dedup();
                }
            }
        }
        for ((version, axis), hole) in other.holes {
            let built = self.builds.get(&version);
            match axis {
                // One of an axis that is recorded stands for a build that failed later.
                Some(axis) if built.is_some_and(|build| build.axes.contains_key(&axis)) => {
                    self.miss_again(version, hole, &axis);
                }
                _ => self.miss(version, hole),
            }
        }
        Ok(())
    }

    /// The types that a field has in one version, by axis; none where it does not exist.
    pub fn kinds(&self, version: &Version, type_name: &str, field: &str) -> impl Iterator<Item = &str> {
        let shapes = self.builds.get(version).into_iter().flat_map(|build| build.axes.values());
        shapes.filter_map(move |shape| {
            let layout = shape.structs.get(type_name)?.as_ref()?;
            Some(layout.fields.get(field)?.1.as_str())
        })
    }

    /// Folds into a document.
    pub fn into_document(self, module: &str) -> Document {
        let mut document = Document::new(module);
        let fold = Fold::new(&self);
        let shapes = || self.builds.values().flat_map(|build| build.axes.values());
        let structs: BTreeSet<&String> =
            shapes().flat_map(|shape| shape.structs.keys().chain(&shape.unreached)).collect();
        let functions: BTreeSet<&String> =
            shapes().flat_map(|shape| shape.functions.keys().chain(&shape.unreached_functions)).collect();
        document.structs = structs.into_iter().map(|name| (name.clone(), fold.structure(name))).collect();
        document.functions = functions.into_iter().map(|name| (name.clone(), fold.function(name))).collect();
        let used: BTreeSet<&str> = self
            .builds
            .values()
            .flat_map(|build| {
                let others = build.tested.arch.iter().chain(&build.tested.agrees);
                let others = others.filter_map(|axis| axis.split_once('+').map(|(_, other)| other));
                std::iter::once(build.tested.toolchain.as_str()).chain(others)
            })
            .collect();
        let generators: BTreeSet<&str> =
            self.builds.values().map(|build| build.tested.generator.as_str()).collect();
        document.toolchains =
            self.toolchains.iter().filter(|t| used.contains(t.version.as_str())).cloned().collect();
        document.toolchains.sort_by_key(|toolchain| Version::parse(crate::STD, &toolchain.version));
        document.settings = self
            .settings
            .iter()
            .filter(|(k, _)| generators.contains(k.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        document.holes = self.holes.into_values().collect();
        document.versions = self.builds.into_values().map(|build| build.tested).collect();
        document
    }
}

/// From observations to runs. Along an axis two versions are neighbours when none that was compiled for it lies between.
struct Fold<'a> {
    builds: Vec<&'a Build>,
    /// By axis and position: how many versions before it were compiled for that axis.
    ordinals: BTreeMap<&'a str, BTreeMap<usize, usize>>,
}

impl<'a> Fold<'a> {
    fn new(all: &'a Observations) -> Self {
        let builds: Vec<&Build> = all.builds.values().collect();
        let mut ordinals: BTreeMap<&str, BTreeMap<usize, usize>> = BTreeMap::new();
        for (position, build) in builds.iter().enumerate() {
            for axis in build.axes.keys() {
                let own = ordinals.entry(axis).or_default();
                own.insert(position, own.len());
            }
        }
        Self { builds, ordinals }
    }

    /// Every (position, axis, shape).
    fn shapes(&self) -> impl Iterator<Item = (usize, &'a str, &'a Shape)> + '_ {
        let builds = self.builds.iter().enumerate();
        builds.flat_map(|(position, build)| {
            build.axes.iter().map(move |(axis, shape)| (position, axis.as_str(), shape))
        })
    }

    fn runs<T: PartialEq + Ord>(&self, values: impl Iterator<Item = (usize, &'a str, T)>) -> Vec<(Span, T)> {
        let mut runs: BTreeMap<&str, Vec<(usize, usize, T)>> = BTreeMap::new();
        for (position, axis, value) in values {
            let ordinal = |position: &usize| {
                self.ordinals.get(axis).and_then(|own| own.get(position)).copied().unwrap_or(0)
            };
            let own = runs.entry(axis).or_default();
            match own.last_mut() {
                Some((_, last, known)) if ordinal(last) + 1 == ordinal(&position) && *known == value => {
                    *last = position
                }
                _ => own.push((position, position, value)),
            }
        }
        let mut merged: BTreeMap<(usize, usize, T), Vec<String>> = BTreeMap::new();
        for (axis, own) in runs {
            for run in own {
                merged.entry(run).or_default().push(axis.to_owned());
            }
        }
        let name = |position: usize| {
            self.builds.get(position).map_or_else(String::new, |b| b.tested.version.clone())
        };
        merged
            .into_iter()
            .map(|((first, last, value), arch)| (Span { from: name(first), to: name(last), arch }, value))
            .collect()
    }

    /// Where something holds.
    fn spans(&self, holds: impl Fn(&Shape) -> bool) -> Vec<Span> {
        let all = self.shapes().filter(|(.., shape)| holds(shape)).map(|(at, axis, _)| (at, axis, ()));
        self.runs(all).into_iter().map(|(span, ())| span).collect()
    }

    fn structure(&self, name: &str) -> Struct {
        let exists = || {
            let own = |shape: &'a Shape| shape.structs.get(name)?.as_ref();
            self.shapes().filter_map(move |(at, axis, shape)| Some((at, axis, own(shape)?)))
        };
        let sizes = self.runs(exists().map(|(at, axis, layout)| (at, axis, layout.size)));
        let names: BTreeSet<&String> = exists().flat_map(|(_, _, layout)| layout.fields.keys()).collect();
        let field = |name: &String| {
            let places = exists().filter_map(|(at, axis, layout)| Some((at, axis, layout.fields.get(name)?)));
            let runs = self.runs(places).into_iter();
            runs.map(|(Span { from, to, arch }, (offset, kind))| Run {
                from,
                to,
                arch,
                offset: *offset,
                r#type: kind.clone(),
            })
            .collect()
        };
        Struct {
            tested: self.spans(|shape| shape.structs.contains_key(name)),
            unreached: self.spans(|shape| shape.unreached.contains(name)),
            sizes: sizes
                .into_iter()
                .map(|(Span { from, to, arch }, size)| SizeRun { from, to, arch, size })
                .collect(),
            fields: names.into_iter().map(|name| (name.clone(), field(name))).collect(),
        }
    }

    fn function(&self, name: &str) -> Function {
        let exists = self
            .shapes()
            .filter_map(|(at, axis, shape)| Some((at, axis, shape.functions.get(name)?.as_ref()?)));
        let runs = self.runs(exists);
        let run = |(Span { from, to, arch }, signature): (Span, &Signature)| {
            let Signature { inlined, params, results } = signature.clone();
            FunctionRun { from, to, arch, inlined, params, results }
        };
        Function {
            tested: self.spans(|shape| shape.functions.contains_key(name)),
            unreached: self.spans(|shape| shape.unreached_functions.contains(name)),
            runs: runs.into_iter().map(run).collect(),
        }
    }
}
