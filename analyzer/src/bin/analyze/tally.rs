//! What several files came to: a table of libraries against verdicts.

use std::collections::BTreeMap;
use std::io::Write;

use analyzer::plan::{Status, Verdict};
use anyhow::Result;

use crate::outcome::Outcome;
use crate::report;
use crate::targets::Found;

/// Counts by library.
#[derive(Debug, Default)]
pub struct Tally {
    libraries: BTreeMap<String, [usize; 4]>,
    plans: usize,
    unreadable: usize,
}

impl Tally {
    /// Counts a file.
    pub fn add(&mut self, outcome: &Outcome) {
        let Ok(plan) = &outcome.result else {
            self.unreadable += 1;
            return;
        };
        self.plans += 1;
        for library in &plan.libraries {
            let [ready, partial, refused, recorded] = self.libraries.entry(library.id.clone()).or_default();
            match (library.status, library.verdict) {
                (Status::Recorded, _) => *recorded += 1,
                (Status::Instrumented, Verdict::Ready) => *ready += 1,
                (Status::Instrumented, Verdict::Partial) => *partial += 1,
                (Status::Instrumented, Verdict::Refused) => *refused += 1,
            }
        }
    }

    /// Prints the table.
    pub fn print(&self, out: &mut impl Write, found: &Found) -> Result<()> {
        let mut table = report::plain(["library", "ready", "partial", "refused", "recorded"]);
        for (id, counts) in &self.libraries {
            table.add_row(std::iter::once(id.clone()).chain(counts.iter().map(ToString::to_string)));
        }
        let (files, plans, unreadable) = (found.files.len(), self.plans, self.unreadable);
        let skipped = match found.folders {
            0 => String::new(),
            _ => format!(", {} other files skipped", found.skipped),
        };
        writeln!(
            out,
            "{files} ELF files looked at{skipped}: {plans} Go binaries, {unreadable} not Go or unreadable"
        )?;
        report::indented(out, &table)
    }
}
