//! What a table has no room for: it is counted, and named where the architectures differ.

use std::collections::BTreeMap;
use std::fmt;

use crate::commands::figures::{Field, Figure, folded, said};

/// What was left out of a table.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// In words, with the versions.
    apart: Vec<(String, Vec<String>)>,
    /// By reason and module.
    counts: BTreeMap<(&'static str, String), usize>,
    /// Fields of which there is no figure at all.
    empty: Vec<String>,
}

impl LeftOut {
    /// The offset that a table may have, or nothing, which is noted.
    pub fn take(&mut self, field: &Field, version: &str, figure: Figure) -> Option<Option<u64>> {
        match figure {
            Figure::Both(offset) => return Some(offset),
            Figure::Apart(amd64, arm64) => {
                let (amd64, arm64) = (said(amd64), said(arm64));
                let line = format!("{}: {amd64} on amd64, {arm64} on arm64", field.spelled());
                match self.apart.last_mut().filter(|(same, _)| *same == line) {
                    Some((_, versions)) => versions.push(version.to_owned()),
                    None => self.apart.push((line, vec![version.to_owned()])),
                }
            }
            Figure::Alone(_) => self.count("built for amd64 alone, and nothing vouches for arm64", field),
            Figure::Doubtful => {
                self.count("not built, not reached, or moved by another Go or dependency", field)
            }
        }
        None
    }

    /// One figure more that is left out for a reason.
    pub fn count(&mut self, reason: &'static str, field: &Field) {
        *self.counts.entry((reason, field.module.clone())).or_default() += 1;
    }

    /// A field that the table has nothing of.
    pub fn empty(&mut self, field: &Field) {
        self.empty.push(field.spelled());
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, versions) in &self.apart {
            writeln!(f, "left out: {line} ({})", folded(versions))?;
        }
        for ((reason, module), count) in &self.counts {
            writeln!(f, "left out: {count} figures of {module}: {reason}")?;
        }
        for field in &self.empty {
            writeln!(f, "left out: {field}: no version has a figure for both architectures")?;
        }
        Ok(())
    }
}
