//! The runs of one struct or function, as ranges of indices into the versions; of the embedded database they are decoded when they are
//! asked for.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::answer::Signature;
use super::axes::Axes;

/// What is known of a struct or a function: at hand, or as the embedded form has it until it is asked for.
#[derive(Debug, Clone)]
pub(super) struct Block<R> {
    bytes: &'static [u8],
    record: OnceLock<R>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct StructIndex {
    pub tested: Vec<Range>,
    pub sizes: Vec<RunIndex<u64>>,
    /// Offset and type of each.
    pub fields: BTreeMap<String, Vec<RunIndex<(u64, String)>>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct FunctionIndex {
    pub tested: Vec<Range>,
    pub runs: Vec<RunIndex<Signature>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Range {
    pub first: usize,
    pub last: usize,
    pub axes: Axes,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
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

impl<R> From<R> for Block<R> {
    fn from(record: R) -> Self {
        Self { bytes: &[], record: OnceLock::from(record) }
    }
}

impl<R: DeserializeOwned> Block<R> {
    /// One that is decoded when it is asked for.
    pub(super) fn later(bytes: &'static [u8]) -> Self {
        Self { bytes, record: OnceLock::new() }
    }

    pub(super) fn record(&self) -> &R {
        // It is part of the program, written by the same types when it was built, and a test reads all of them.
        let decode =
            || postcard::from_bytes(self.bytes).unwrap_or_else(|error| panic!("embedded database: {error}"));
        self.record.get_or_init(decode)
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
