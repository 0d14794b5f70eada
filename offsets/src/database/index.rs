//! One document made ready for look-ups: versions parsed, runs as ranges of indices into them, and checked.
//!
//! The checks are what makes the answers trustworthy: versions ascend, every run's ends are tested versions, and no two
//! runs of a field claim the same version and architecture.

use std::collections::BTreeMap;

use super::format::Document;
use super::{Basis, DatabaseError, Lookup, VersionMatch};
use crate::Version;

#[derive(Debug, Clone)]
pub(super) struct Index {
    document: Document,
    versions: Vec<Version>,
    structs: BTreeMap<String, StructIndex>,
}

#[derive(Debug, Clone, Default)]
struct StructIndex {
    tested: Vec<Range>,
    fields: BTreeMap<String, Vec<RunIndex>>,
}

#[derive(Debug, Clone)]
struct Range {
    first: usize,
    last: usize,
    arch: Vec<String>,
}

#[derive(Debug, Clone)]
struct RunIndex {
    range: Range,
    offset: u64,
    kind: String,
}

/// A version's tested neighbours, as indices; the same twice where it was tested itself.
#[derive(Clone, Copy)]
struct Neighbours {
    below: usize,
    above: usize,
    exact: bool,
}

impl Range {
    fn covers(&self, index: usize, arch: &str) -> bool {
        (self.first..=self.last).contains(&index) && self.arch.iter().any(|own| own == arch)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last
            && other.first <= self.last
            && self.arch.iter().any(|arch| other.arch.contains(arch))
    }
}

impl Index {
    pub(super) fn new(file: &str, document: Document) -> Result<Self, DatabaseError> {
        let checker = Checker { file, document: &document };
        let versions = checker.versions()?;
        let mut structs = BTreeMap::new();
        for (name, record) in &document.structs {
            let path = format!("structs.{name}");
            let mut index = StructIndex::default();
            for (position, span) in record.tested.iter().enumerate() {
                let path = format!("{path}.tested[{position}]");
                index.tested.push(checker.range(&path, &span.from, &span.to, &span.arch)?);
            }
            for (field, runs) in &record.fields {
                let runs = checker.runs(&format!("{path}.fields.{field}"), runs)?;
                index.fields.insert(field.clone(), runs);
            }
            structs.insert(name.clone(), index);
        }
        Ok(Self { versions, structs, document })
    }

    pub(super) fn document(&self) -> &Document {
        &self.document
    }

    pub(super) fn version_match(&self, version: &Version) -> VersionMatch {
        let all = 0..self.versions.len();
        match self.neighbours(version, all) {
            _ if self.versions.is_empty() => VersionMatch::Unknown,
            Some(Neighbours { exact: true, .. }) => VersionMatch::Exact,
            Some(_) => VersionMatch::Between,
            None => VersionMatch::Outside,
        }
    }

    /// The nearest tested versions on both sides, among `candidates` (ascending indices). A vendor's build of a tested
    /// version has it on both sides, but is not it. None outside of them, and for builds with experiments.
    fn neighbours(&self, version: &Version, candidates: impl Iterator<Item = usize>) -> Option<Neighbours> {
        let (mut below, mut above) = (None, None);
        for index in candidates.filter(|_| !version.has_experiments()) {
            let tested = self.versions.get(index)?;
            if tested <= version {
                below = Some(index);
            }
            if tested >= version && above.is_none() {
                above = Some(index);
            }
        }
        let (below, above) = (below?, above?);
        Some(Neighbours { below, above, exact: below == above && version.is_plain() })
    }

    pub(super) fn lookup(&self, version: &Version, arch: &str, type_name: &str, field: &str) -> Lookup<'_> {
        let Some(record) = self.structs.get(type_name) else { return Lookup::Unknown };
        let Some(runs) = record.fields.get(field) else { return Lookup::Unknown };
        let tested = |index: &usize| record.tested.iter().any(|range| range.covers(*index, arch));
        let candidates: Vec<usize> = (0..self.versions.len()).filter(tested).collect();
        if candidates.is_empty() {
            return Lookup::Unknown;
        }
        let Some(near) = self.neighbours(version, candidates.into_iter()) else { return Lookup::Outside };
        let at = |index: usize| {
            let run = runs.iter().find(|run| run.range.covers(index, arch))?;
            Some((run.offset, run.kind.as_str()))
        };
        let (below, above) = (self.name(near.below), self.name(near.above));
        match (at(near.below), at(near.above)) {
            (Some((offset, kind)), _) if near.exact => Lookup::Exact { offset, kind },
            (None, _) if near.exact => Lookup::Absent(Basis::Exact),
            (Some(a), Some(b)) if a == b => Lookup::Between { offset: a.0, kind: a.1, below, above },
            (None, None) => Lookup::Absent(Basis::Between { below, above }),
            _ => Lookup::Differs { below, above },
        }
    }

    fn name(&self, index: usize) -> &str {
        self.document.versions.get(index).map_or("", |tested| &tested.version)
    }
}

struct Checker<'a> {
    file: &'a str,
    document: &'a Document,
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
            versions.push(version);
        }
        Ok(versions)
    }

    fn range(&self, path: &str, from: &str, to: &str, arch: &[String]) -> Result<Range, DatabaseError> {
        let find = |text: &str| {
            let position = self.document.versions.iter().position(|tested| tested.version == text);
            position.ok_or_else(|| self.error(path, format!("{text} is not among the tested versions")))
        };
        let (first, last) = (find(from)?, find(to)?);
        if last < first || arch.is_empty() {
            return Err(self.error(path, format!("{from} to {to} for {arch:?} is empty")));
        }
        Ok(Range { first, last, arch: arch.to_vec() })
    }

    fn runs(&self, path: &str, runs: &[super::format::Run]) -> Result<Vec<RunIndex>, DatabaseError> {
        let mut indexed: Vec<RunIndex> = Vec::new();
        for run in runs {
            let range = self.range(path, &run.from, &run.to, &run.arch)?;
            if indexed.iter().any(|other| other.range.overlaps(&range)) {
                return Err(self.error(path, format!("two runs claim {} to {}", run.from, run.to)));
            }
            indexed.push(RunIndex { range, offset: run.offset, kind: run.r#type.clone() });
        }
        Ok(indexed)
    }
}
