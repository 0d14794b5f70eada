//! Everything that is known of one module, taken apart: one [`Shape`] for each version and each axis.
//!
//! [`Observations::read`] spreads a document out. `merge` adds what another folder of data has, `fold` makes the document
//! again; the same observations give the same document, in whatever order they came.
//!
//! An axis is what a version was compiled for: an architecture, or an architecture with another Go or dependency than the
//! usual one (`amd64+go1.19.13`).

use std::collections::{BTreeMap, BTreeSet};

use offsets::Version;
use offsets::database::format::{Document, FunctionRun, Hole, Struct, Tested, Toolchain};

use crate::probe::shape::{Layout, Shape, Signature};

/// Everything that is known of one module, version by version.
#[derive(Debug, Clone, Default)]
pub struct Observations {
    pub(super) builds: BTreeMap<Version, Build>,
    /// By version and axis; without one the whole version is missing.
    pub(super) holes: BTreeMap<(Version, Option<String>), Hole>,
    pub(super) toolchains: BTreeSet<Toolchain>,
    pub(super) settings: BTreeMap<String, String>,
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

    /// The types that a field has in one version, by axis; none where it does not exist.
    pub fn kinds(&self, version: &Version, type_name: &str, field: &str) -> impl Iterator<Item = &str> {
        let shapes = self.builds.get(version).into_iter().flat_map(|build| build.axes.values());
        shapes.filter_map(move |shape| {
            let layout = shape.structs.get(type_name)?.as_ref()?;
            Some(layout.fields.get(field)?.1.as_str())
        })
    }
}
