//! The runs of one struct or function, as ranges of indices into the versions; and the lines of the embedded form that they are
//! read from.
//!
//! ```text
//! T first last mask                       where it was looked for
//! Z first last mask size                  how long a struct is
//! F field first last mask offset type     where a field of it lies
//! R first last mask inlined               how a function is called (inlined: no, partly, always), with
//! P name type place                       each parameter
//! Q name type place                       each result
//! ```

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::answer::Signature;
use super::axes::Axes;
use super::format::{Inlined, Parameter};

/// What is known of a struct or a function: at hand, or in the lines of the embedded form until it is asked for.
#[derive(Debug, Clone)]
pub(super) struct Block<R> {
    lines: &'static str,
    record: OnceLock<R>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct StructIndex {
    pub tested: Vec<Range>,
    pub sizes: Vec<RunIndex<u64>>,
    /// Offset and type of each.
    pub fields: BTreeMap<String, Vec<RunIndex<(u64, String)>>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct FunctionIndex {
    pub tested: Vec<Range>,
    pub runs: Vec<RunIndex<Signature>>,
}

#[derive(Debug, Clone)]
pub(super) struct Range {
    pub first: usize,
    pub last: usize,
    pub axes: Axes,
}

#[derive(Debug, Clone)]
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
        Self { lines: "", record: OnceLock::from(record) }
    }
}

impl<R> Block<R> {
    /// One whose lines are read when it is asked for.
    pub(super) fn later(lines: &'static str) -> Self {
        Self { lines, record: OnceLock::new() }
    }
}

impl Block<StructIndex> {
    pub(super) fn record(&self) -> &StructIndex {
        self.record.get_or_init(|| read_struct(self.lines))
    }
}

impl Block<FunctionIndex> {
    pub(super) fn record(&self) -> &FunctionIndex {
        self.record.get_or_init(|| read_function(self.lines))
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

/// One struct's lines.
fn read_struct(lines: &str) -> StructIndex {
    let mut record = StructIndex::default();
    for line in lines.lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["T", first, last, mask] => record.tested.extend(range(first, last, mask)),
            ["Z", first, last, mask, size] => {
                let run = range(first, last, mask).zip(size.parse().ok());
                record.sizes.extend(run.map(|(range, what)| RunIndex { range, what }));
            }
            ["F", field, first, last, mask, offset, kind] => {
                let run = range(first, last, mask).zip(offset.parse().ok());
                let run = run.map(|(range, offset)| RunIndex { range, what: (offset, kind.to_owned()) });
                record.fields.entry(field.to_owned()).or_default().extend(run);
            }
            _ => {}
        }
    }
    record
}

/// One function's lines.
fn read_function(lines: &str) -> FunctionIndex {
    let mut record = FunctionIndex::default();
    for line in lines.lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["T", first, last, mask] => record.tested.extend(range(first, last, mask)),
            ["R", first, last, mask, word] => {
                let inlined = [Inlined::No, Inlined::Partly, Inlined::Always];
                let inlined = inlined.into_iter().find(|inlined| inlined.word() == word);
                let what =
                    inlined.map(|inlined| Signature { inlined, params: Vec::new(), results: Vec::new() });
                let run = range(first, last, mask).zip(what);
                record.runs.extend(run.map(|(range, what)| RunIndex { range, what }));
            }
            [list @ ("P" | "Q"), name, kind, at] => {
                let parameter =
                    Parameter { name: name.to_owned(), r#type: kind.to_owned(), at: at.to_owned() };
                let Some(run) = record.runs.last_mut() else { continue };
                let list = if list == "P" { &mut run.what.params } else { &mut run.what.results };
                list.push(parameter);
            }
            _ => {}
        }
    }
    record
}

fn range(first: &str, last: &str, mask: &str) -> Option<Range> {
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    Some(Range { first, last, axes: Axes::from_hex(mask)? })
}
