//! Observations fold into a document: versions that follow one another with the same figures become a run.
//!
//! The fold is canonical: the same observations give the same document, in whatever order they came.

use std::collections::{BTreeMap, BTreeSet};

use offsets::database::format::{Document, FieldRun, Function, FunctionRun, SizeRun, Span, Struct};
use offsets::{STD, Version};

use super::observations::{Build, Observations};
use crate::probe::shape::{Shape, Signature};

impl Observations {
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
        document.toolchains.sort_by_key(|toolchain| Version::parse(STD, &toolchain.version));
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
            runs.map(|(Span { from, to, arch }, (offset, kind))| FieldRun {
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
