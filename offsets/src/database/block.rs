//! One struct's runs, as ranges of indices into the versions; and the lines of the embedded form that they are read from.
//!
//! ```text
//! T first last mask                       where it was looked for
//! F field first last mask offset type     a run
//! ```

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::axes::Axes;

/// A struct's runs: at hand, or in the lines of the embedded form until it is asked for.
#[derive(Debug, Clone)]
pub(super) struct Block {
    lines: &'static str,
    record: OnceLock<StructIndex>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct StructIndex {
    pub tested: Vec<Range>,
    pub fields: BTreeMap<String, Vec<RunIndex>>,
}

#[derive(Debug, Clone)]
pub(super) struct Range {
    pub first: usize,
    pub last: usize,
    pub axes: Axes,
}

#[derive(Debug, Clone)]
pub(super) struct RunIndex {
    pub range: Range,
    pub offset: u64,
    pub kind: String,
}

impl From<StructIndex> for Block {
    fn from(index: StructIndex) -> Self {
        Self { lines: "", record: OnceLock::from(index) }
    }
}

impl Block {
    /// One whose lines are read when it is asked for.
    pub(super) fn later(lines: &'static str) -> Self {
        Self { lines, record: OnceLock::new() }
    }

    pub(super) fn record(&self) -> &StructIndex {
        self.record.get_or_init(|| read(self.lines))
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

/// Where the run of a version on an axis has the field, and its type.
pub(super) fn place(runs: &[RunIndex], index: usize, axis: usize) -> Option<(u64, &str)> {
    let run = runs.iter().find(|run| run.range.covers(index, axis))?;
    Some((run.offset, run.kind.as_str()))
}

/// One struct's lines.
fn read(lines: &str) -> StructIndex {
    let mut record = StructIndex::default();
    for line in lines.lines() {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["T", first, last, mask] => record.tested.extend(range(first, last, mask)),
            ["F", field, first, last, mask, offset, kind] => {
                let run = range(first, last, mask).zip(offset.parse().ok());
                let run = run.map(|(range, offset)| RunIndex { range, offset, kind: kind.to_owned() });
                record.fields.entry(field.to_owned()).or_default().extend(run);
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
