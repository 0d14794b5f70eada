//! Single observations, and how they become runs: the form in which `offsetgen` gathers and merges figures.
//!
//! [`Observations::read`] spreads a document out to one entry per version, architecture and struct;
//! [`Observations::into_document`] folds them again. The fold is canonical: the same observations give the same document,
//! in whatever order they came.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{Document, Run, Span, Struct, Tested};
use crate::Version;

/// A struct's fields by name: offset and type. An empty map is a struct that does not exist (or has no fields).
pub type Layout = BTreeMap<String, (u64, String)>;

/// Everything that is known of one module, version by version.
#[derive(Debug, Clone, Default)]
pub struct Observations {
    builds: BTreeMap<Version, Build>,
}

/// What one version's builds have shown.
#[derive(Debug, Clone)]
struct Build {
    tested: Tested,
    /// Struct name, then architecture.
    structs: BTreeMap<String, BTreeMap<String, Layout>>,
}

impl Observations {
    /// Spreads a document out.
    pub fn read(document: &Document) -> Self {
        let mut all = Self::default();
        let parse = |text: &str| Version::parse(&document.module, text);
        for tested in &document.versions {
            if let Some(version) = parse(&tested.version) {
                all.builds.insert(version, Build { tested: tested.clone(), structs: BTreeMap::new() });
            }
        }
        for (name, record) in &document.structs {
            for Span { from, to, arch } in &record.tested {
                for build in all.range(parse(from), parse(to)) {
                    let layouts = build.structs.entry(name.clone()).or_default();
                    layouts.extend(arch.iter().map(|arch| (arch.clone(), Layout::new())));
                }
            }
            for (field, run) in
                record.fields.iter().flat_map(|(field, runs)| runs.iter().map(move |run| (field, run)))
            {
                for build in all.range(parse(&run.from), parse(&run.to)) {
                    let layouts = build.structs.get_mut(name).into_iter().flatten();
                    for (_, layout) in layouts.filter(|(arch, _)| run.arch.contains(arch)) {
                        layout.insert(field.clone(), (run.offset, run.r#type.clone()));
                    }
                }
            }
        }
        all
    }

    fn range(&mut self, from: Option<Version>, to: Option<Version>) -> impl Iterator<Item = &mut Build> {
        let inside = move |version: &Version| {
            from.as_ref().is_some_and(|from| from <= version) && to.as_ref().is_some_and(|to| version <= to)
        };
        self.builds.iter_mut().filter(move |(version, _)| inside(version)).map(|(_, build)| build)
    }

    /// Records one version on one architecture: all that was known of that pair is replaced.
    pub fn record(
        &mut self,
        version: Version,
        tested: &Tested,
        arch: &str,
        structs: BTreeMap<String, Layout>,
    ) {
        let build = self.builds.entry(version);
        let build = build.or_insert_with(|| Build { tested: tested.clone(), structs: BTreeMap::new() });
        let mut known: BTreeSet<String> = std::mem::take(&mut build.tested.arch).into_iter().collect();
        known.insert(arch.to_owned());
        build.tested = Tested { arch: known.into_iter().collect(), ..tested.clone() };
        for layouts in build.structs.values_mut() {
            layouts.remove(arch);
        }
        for (name, layout) in structs {
            build.structs.entry(name).or_default().insert(arch.to_owned(), layout);
        }
    }

    /// The tested versions, ascending.
    pub fn versions(&self) -> impl Iterator<Item = &Version> {
        self.builds.keys()
    }

    /// The types that a field has in one version, by architecture; none where it does not exist.
    pub fn kinds(&self, version: &Version, type_name: &str, field: &str) -> impl Iterator<Item = &str> {
        let layouts = self.builds.get(version).and_then(|build| build.structs.get(type_name));
        layouts
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter_map(move |layout| Some(layout.get(field)?.1.as_str()))
    }

    /// Folds into a document, with the structs in `wanted` only.
    pub fn into_document(self, module: &str, wanted: &BTreeSet<String>) -> Document {
        let mut document = Document::new(module);
        for name in wanted {
            let record = self.fold(name);
            if !record.tested.is_empty() {
                document.structs.insert(name.clone(), record);
            }
        }
        document.versions = self.builds.into_values().map(|build| build.tested).collect();
        document
    }

    fn fold(&self, name: &str) -> Struct {
        let mut spans: Folder<()> = Folder::default();
        let mut fields: BTreeMap<&str, Folder<(u64, &str)>> = BTreeMap::new();
        for (position, build) in self.builds.values().enumerate() {
            for (arch, layout) in build.structs.get(name).into_iter().flatten() {
                spans.push(position, arch, ());
                for (field, (offset, kind)) in layout {
                    fields.entry(field).or_default().push(position, arch, (*offset, kind));
                }
            }
        }
        let names: Vec<&str> = self.builds.values().map(|build| build.tested.version.as_str()).collect();
        let version = |position: usize| names.get(position).copied().unwrap_or_default().to_owned();
        let span = |(first, last, arch, ()): (usize, usize, Vec<String>, ())| Span {
            from: version(first),
            to: version(last),
            arch,
        };
        let run = |(first, last, arch, (offset, kind)): (usize, usize, Vec<String>, (u64, &str))| Run {
            from: version(first),
            to: version(last),
            arch,
            offset,
            r#type: kind.to_owned(),
        };
        let fields = fields
            .into_iter()
            .map(|(field, folder)| (field.to_owned(), folder.finish().into_iter().map(run).collect()))
            .collect();
        Struct { tested: spans.finish().into_iter().map(span).collect(), fields }
    }
}

/// Folds values at positions into runs per architecture, then runs that are equal on several architectures into one.
struct Folder<T> {
    runs: BTreeMap<String, Vec<(usize, usize, T)>>,
}

impl<T> Default for Folder<T> {
    fn default() -> Self {
        Self { runs: BTreeMap::new() }
    }
}

impl<T: PartialEq + Ord> Folder<T> {
    /// Positions come ascending per architecture.
    fn push(&mut self, position: usize, arch: &str, value: T) {
        let runs = self.runs.entry(arch.to_owned()).or_default();
        match runs.last_mut() {
            Some((_, last, known)) if *last + 1 == position && *known == value => *last = position,
            _ => runs.push((position, position, value)),
        }
    }

    fn finish(self) -> Vec<(usize, usize, Vec<String>, T)> {
        let mut merged: BTreeMap<(usize, usize, T), Vec<String>> = BTreeMap::new();
        for (arch, runs) in self.runs {
            for run in runs {
                merged.entry(run).or_default().push(arch.clone());
            }
        }
        merged.into_iter().map(|((first, last, value), arch)| (first, last, arch, value)).collect()
    }
}
