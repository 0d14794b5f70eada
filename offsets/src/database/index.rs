//! One document made ready for look-ups: versions parsed, runs as ranges of indices into them, and checked.
//!
//! The checks are what makes the answers trustworthy: versions ascend, every run's ends are recorded versions, and no two
//! runs of a field claim the same version and axis.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::answer::{Answer, Basis, Lookup, Signature, VersionMatch};
use super::axes::Axes;
use super::block::{ByName, FunctionIndex, Range, RunIndex, Runs, StructIndex};
use super::error::DatabaseError;
use super::format::{Document, Span};
use crate::Version;
use crate::later::Later;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub(super) struct Index {
    /// The versions' texts.
    pub names: Vec<String>,
    /// The versions, ascending.
    pub versions: Vec<Version>,
    /// `amd64`, `arm64`, `amd64+go1.19.13`.
    pub axes: Vec<String>,
    /// For each version, what it was compiled for.
    pub built: Vec<Axes>,
    /// For each version, whether another Go was tried and gave the same layouts.
    pub agrees: Vec<bool>,
    /// By name.
    pub structs: ByName<StructIndex>,
    /// By linker name, plainly written.
    pub functions: ByName<FunctionIndex>,
}

/// A version's tested neighbours, as indices; the same twice where it was tested itself.
#[derive(Clone, Copy)]
struct Neighbours {
    below: usize,
    above: usize,
    exact: bool,
}

impl Index {
    pub(super) fn new(file: &str, document: &Document) -> Result<Self, DatabaseError> {
        let axes = axes(document);
        let positions = document.versions.iter().enumerate();
        let positions = positions.map(|(position, tested)| (tested.version.as_str(), position)).collect();
        let checker = Checker { file, document, axes: &axes, positions };
        let versions = checker.versions()?;
        let built = checker.built()?;
        let structs = document.structs.iter().map(|(name, record)| {
            let path = format!("structs.{name}");
            let mut index =
                StructIndex { tested: checker.spans(&path, &record.tested)?, ..StructIndex::default() };
            let sizes = record.sizes.iter().map(|run| (&run.from, &run.to, &run.arch, run.size));
            index.sizes = checker.runs(&format!("{path}.sizes"), sizes)?;
            let fields = record.fields.iter().map(|(field, runs)| {
                let place = runs.iter().map(|run| (run.offset, run.r#type.clone()));
                let runs = runs.iter().zip(place).map(|(run, place)| (&run.from, &run.to, &run.arch, place));
                let runs = checker.runs(&format!("{path}.fields.{field}"), runs)?;
                Ok((Cow::Owned(field.clone()), runs))
            });
            index.fields = fields.collect::<Result<_, DatabaseError>>()?;
            Ok((Cow::Owned(name.clone()), index))
        });
        let structs = structs.collect::<Result<_, DatabaseError>>()?;
        let functions = document.functions.iter().map(|(name, record)| {
            let path = format!("functions.{name}");
            let signature = |run| Later::from(Signature::from(run));
            let runs = record.runs.iter().map(|run| (&run.from, &run.to, &run.arch, signature(run)));
            let runs = checker.runs(&format!("{path}.runs"), runs)?;
            let index = FunctionIndex { tested: checker.spans(&path, &record.tested)?, runs };
            Ok((Cow::Owned(name.clone()), index))
        });
        let functions = functions.collect::<Result<_, DatabaseError>>()?;
        let names = document.versions.iter().map(|tested| tested.version.clone()).collect();
        let agrees = document.versions.iter().map(|tested| !tested.agrees.is_empty()).collect();
        Ok(Self { names, versions, axes, built, agrees, structs, functions })
    }

    pub(super) fn version_match(&self, version: &Version) -> VersionMatch {
        match self.neighbours(version, |_| true) {
            _ if self.versions.is_empty() => VersionMatch::Unknown,
            Some(Neighbours { exact: true, .. }) => VersionMatch::Exact,
            Some(_) => VersionMatch::Between,
            None => VersionMatch::Outside,
        }
    }

    /// The nearest tested versions on both sides, among those that `tested` accepts. A vendor's build of a tested version
    /// has it on both sides, but is not it. None outside of them, for builds with experiments, for sources with changes of
    /// somebody's own, and for commits of Go or of a module that has releases.
    fn neighbours(&self, version: &Version, tested: impl Fn(usize) -> bool) -> Option<Neighbours> {
        let snapshot = version.is_development() || (version.is_pseudo() && self.is_tagged());
        if version.has_experiments() || version.is_modified() || snapshot {
            return None;
        }
        let start = self.versions.partition_point(|known| known < version);
        let equal = self.versions.get(start).is_some_and(|known| known == version) && tested(start);
        let above = (start..self.versions.len()).find(|index| tested(*index))?;
        let below = if equal { start } else { (0..start).rev().find(|index| tested(*index))? };
        Some(Neighbours { below, above, exact: below == above && version.is_plain() })
    }

    /// Whether the module has releases: then a commit between two of them may be of any branch.
    fn is_tagged(&self) -> bool {
        self.versions.last().is_some_and(|last| !last.is_pseudo())
    }

    /// An axis's position; one that no set has where nothing was compiled for it.
    fn axis(&self, name: &str) -> usize {
        self.axes.iter().position(|axis| axis == name).unwrap_or(usize::MAX)
    }

    fn is_built(&self, index: usize, axis: usize) -> bool {
        self.built.get(index).is_some_and(|built| built.has(axis))
    }

    fn tested<T>(&self, record: &Runs<'_, T>, index: usize, axis: usize) -> bool {
        self.is_built(index, axis) && record.tested.iter().any(|range| range.covers(index, axis))
    }

    pub(super) fn lookup(&self, version: &Version, arch: &str, type_name: &str, field: &str) -> Lookup<'_> {
        let Some(record) = self.structs.get(type_name) else { return Lookup::Unknown };
        let Some(runs) = record.fields.get(field) else { return Lookup::Unknown };
        let runs = Runs { tested: &record.tested, runs, same: |a, b| a == b };
        match self.find(&runs, version, arch) {
            Answer::Exact((offset, kind)) => Lookup::Exact { offset: *offset, kind },
            Answer::Between { what: (offset, kind), below, above } => {
                Lookup::Between { offset: *offset, kind, below, above }
            }
            Answer::Absent(basis) => Lookup::Absent(basis),
            Answer::Differs { below, above } => Lookup::Differs { below, above },
            Answer::Outside => Lookup::Outside,
            Answer::Unknown => Lookup::Unknown,
        }
    }

    pub(super) fn size(&self, version: &Version, arch: &str, type_name: &str) -> Answer<'_, u64> {
        let Some(record) = self.structs.get(type_name) else { return Answer::Unknown };
        let runs = Runs { tested: &record.tested, runs: &record.sizes, same: |a, b| a == b };
        self.find(&runs, version, arch)
    }

    pub(super) fn function(&self, version: &Version, arch: &str, name: &str) -> Answer<'_, Signature> {
        let Some(record) = self.functions.get(name) else { return Answer::Unknown };
        let same = |a: &Later<Signature>, b: &Later<Signature>| a.is_called_as(b);
        let runs = Runs { tested: &record.tested, runs: &record.runs, same };
        self.find(&runs, version, arch).map(|signature| &**signature)
    }

    fn find<'s, T>(&'s self, runs: &Runs<'s, T>, version: &Version, arch: &str) -> Answer<'s, T> {
        let axis = self.axis(arch);
        let tested = |index: usize| self.tested(runs, index, axis);
        if !(0..self.versions.len()).any(tested) {
            return Answer::Unknown;
        }
        let not_reached = |index: usize| self.is_built(index, axis) && !tested(index);
        let Some(near) = self.neighbours(version, tested) else {
            // At either end, one that was built and did not reach the struct is known for just that.
            let own = self.versions.iter().position(|known| known == version && version.is_plain());
            return if own.is_some_and(not_reached) { Answer::Unknown } else { Answer::Outside };
        };
        // One that was built between the two and did not reach the struct may have any layout.
        if (near.below..=near.above).any(not_reached) {
            return Answer::Unknown;
        }
        let (below, above) = (self.name(near.below), self.name(near.above));
        if self.depends(runs, version) || self.moves(runs, near) {
            return Answer::Differs { below, above };
        }
        match (runs.at(near.below, axis), runs.at(near.above, axis)) {
            (Some(what), _) if near.exact => Answer::Exact(what),
            (None, _) if near.exact => Answer::Absent(Basis::Exact),
            (Some(a), Some(b)) if (runs.same)(a, b) => Answer::Between { what: a, below, above },
            (None, None) => Answer::Absent(Basis::Between { below, above }),
            _ => Answer::Differs { below, above },
        }
    }

    /// Whether some architecture has seen the figure change between two neighbours: another architecture, for which fewer were
    /// built, then has nothing to go by, even if these two agree.
    fn moves<T>(&self, runs: &Runs<'_, T>, near: Neighbours) -> bool {
        self.axes.iter().filter(|name| !name.contains('+')).map(|name| self.axis(name)).any(|axis| {
            let mut seen = (near.below..=near.above).filter(|index| self.tested(runs, *index, axis));
            let Some(first) = seen.next() else { return false };
            seen.any(|index| !runs.is_same((index, axis), (first, axis)))
        })
    }

    /// Whether another Go or dependency is known to change the figure, in that version or in the nearest one, on
    /// either side, that was compiled with another: then the version alone says nothing. It is tried on one architecture
    /// and counts for all.
    fn depends<T>(&self, runs: &Runs<'_, T>, version: &Version) -> bool {
        let others: Vec<(usize, usize)> = self
            .axes
            .iter()
            .filter_map(|name| name.split_once('+').map(|(base, other)| (base, other, name)))
            // A version with an experiment is outside anyway.
            .filter(|(_, other, _)| !other.starts_with("X:"))
            .map(|(base, _, name)| (self.axis(base), self.axis(name)))
            .collect();
        let tried = |index: &usize| {
            self.agrees.get(*index) == Some(&true)
                || others.iter().any(|(_, other)| self.is_built(*index, *other))
        };
        let differs = |index: usize| {
            others.iter().any(|&(base, other)| {
                self.tested(runs, index, other) && !runs.is_same((index, other), (index, base))
            })
        };
        let start = self.versions.partition_point(|known| known < version);
        if self.versions.get(start) == Some(version) && tried(&start) {
            return differs(start);
        }
        let above = (start..self.versions.len()).find(tried);
        let below = (0..start).rev().find(|index| tried(index));
        [below, above].into_iter().flatten().any(differs)
    }

    fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }
}

/// Every axis of a document, each once, ascending.
fn axes(document: &Document) -> Vec<String> {
    let mut axes: Vec<String> =
        document.versions.iter().flat_map(|tested| tested.arch.iter().cloned()).collect();
    axes.sort_unstable();
    axes.dedup();
    axes
}

struct Checker<'a> {
    file: &'a str,
    document: &'a Document,
    axes: &'a [String],
    /// By a version's text.
    positions: HashMap<&'a str, usize>,
}

impl Checker<'_> {
    fn error(&self, path: &str, reason: String) -> DatabaseError {
        DatabaseError::Content { file: self.file.to_owned(), path: path.to_owned(), reason }
    }

    fn versions(&self) -> Result<Vec<Version>, DatabaseError> {
        let mut versions: Vec<Version> = Vec::new();
        for (position, tested) in self.document.versions.iter().enumerate() {
            let path = format!("versions[{position}].version");
            let version = Version::parse(&self.document.module, &tested.version)
                .filter(Version::is_plain)
                .ok_or_else(|| self.error(&path, format!("{:?} is no version", tested.version)))?;
            if versions.last().is_some_and(|last| *last >= version) {
                return Err(
                    self.error(&path, format!("{} does not follow in ascending order", tested.version))
                );
            }
            if !self.document.toolchains.iter().any(|toolchain| toolchain.version == tested.toolchain) {
                let path = format!("versions[{position}].toolchain");
                return Err(self.error(&path, format!("{} is not among the toolchains", tested.toolchain)));
            }
            versions.push(version);
        }
        Ok(versions)
    }

    fn built(&self) -> Result<Vec<Axes>, DatabaseError> {
        let all = self.document.versions.iter().enumerate();
        all.map(|(position, tested)| self.mask(&format!("versions[{position}].arch"), &tested.arch)).collect()
    }

    fn mask(&self, path: &str, names: &[String]) -> Result<Axes, DatabaseError> {
        let position = |name: &String| {
            let position = self.axes.iter().position(|axis| axis == name);
            position.ok_or_else(|| self.error(path, format!("nothing was compiled for {name}")))
        };
        names.iter().map(position).collect()
    }

    fn range(&self, path: &str, from: &str, to: &str, arch: &[String]) -> Result<Range, DatabaseError> {
        let find = |text: &str| {
            let position = self.positions.get(text).copied();
            position.ok_or_else(|| self.error(path, format!("{text} is not among the tested versions")))
        };
        let (first, last) = (find(from)?, find(to)?);
        if last < first || arch.is_empty() {
            return Err(self.error(path, format!("{from} to {to} for {arch:?} is empty")));
        }
        Ok(Range { first, last, axes: self.mask(path, arch)? })
    }

    fn spans(&self, path: &str, spans: &[Span]) -> Result<Vec<Range>, DatabaseError> {
        let range = |(position, span): (usize, &Span)| {
            self.range(&format!("{path}.tested[{position}]"), &span.from, &span.to, &span.arch)
        };
        spans.iter().enumerate().map(range).collect()
    }

    /// Runs as their first and last version, their axes, and what holds in them.
    fn runs<'r, T>(
        &self,
        path: &str,
        runs: impl Iterator<Item = (&'r String, &'r String, &'r Vec<String>, T)>,
    ) -> Result<Vec<RunIndex<T>>, DatabaseError> {
        let mut indexed: Vec<RunIndex<T>> = Vec::new();
        for (from, to, arch, what) in runs {
            let range = self.range(path, from, to, arch)?;
            if indexed.iter().any(|other| other.range.overlaps(&range)) {
                return Err(self.error(path, format!("two runs claim {from} to {to}")));
            }
            indexed.push(RunIndex { range, what });
        }
        Ok(indexed)
    }
}
