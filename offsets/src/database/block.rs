//! The runs of one struct or function, as ranges of indices into the versions; of the embedded database those are decoded that are
//! asked for.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::answer::Signature;
use super::axes::Axes;
use crate::later::{self, Later};

/// Parts by name, ascending.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static", serialize = "Named<T>: Serialize"))]
pub(super) struct ByName<T>(pub Vec<Named<T>>);

/// A part and its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static", serialize = "Later<T>: Serialize"))]
pub(super) struct Named<T> {
    #[serde(deserialize_with = "later::text")]
    pub name: Cow<'static, str>,
    pub part: Later<T>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub(super) struct StructIndex {
    pub tested: Vec<Range>,
    pub sizes: Vec<RunIndex<u64>>,
    /// Offset and type of each.
    pub fields: ByName<Vec<RunIndex<(u64, String)>>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub(super) struct FunctionIndex {
    pub tested: Vec<Range>,
    pub runs: Vec<RunIndex<Later<Signature>>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Range {
    pub first: usize,
    pub last: usize,
    pub axes: Axes,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct RunIndex<T> {
    pub range: Range,
    pub what: T,
}

/// What one look-up goes by: the runs of one field, size or function, and where its struct or function was looked for.
pub(super) struct Runs<'a, T> {
    pub tested: &'a [Range],
    pub runs: &'a [RunIndex<T>],
    pub same: fn(&T, &T) -> bool,
}

impl<'a, T> Runs<'a, T> {
    /// What holds in a version on an axis.
    pub fn at(&self, index: usize, axis: usize) -> Option<&'a T> {
        self.runs.iter().find(|run| run.range.covers(index, axis)).map(|run| &run.what)
    }

    /// Whether the same holds in two places.
    pub fn is_same(&self, a: (usize, usize), b: (usize, usize)) -> bool {
        match (self.at(a.0, a.1), self.at(b.0, b.1)) {
            (Some(a), Some(b)) => (self.same)(a, b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl<T: Deserialize<'static>> ByName<T> {
    pub(super) fn get(&self, name: &str) -> Option<&T> {
        let at = self.0.binary_search_by(|named| (*named.name).cmp(name)).ok()?;
        self.0.get(at).map(|named| &*named.part)
    }
}

impl<T> FromIterator<(Cow<'static, str>, T)> for ByName<T> {
    fn from_iter<I: IntoIterator<Item = (Cow<'static, str>, T)>>(parts: I) -> Self {
        let named = |(name, part): (_, T)| Named { name, part: part.into() };
        let mut all: Vec<Named<T>> = parts.into_iter().map(named).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Self(all)
    }
}

impl Range {
    pub(super) fn covers(&self, index: usize, axis: usize) -> bool {
        (self.first..=self.last).contains(&index) && self.axes.has(axis)
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last && self.axes.meets(&other.axes)
    }
}
