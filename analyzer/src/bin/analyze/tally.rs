//! What all files together came to: a table of libraries against verdicts, what was skipped, and what is required and not
//! there.

use std::collections::BTreeMap;
use std::io::Write;

use analyzer::plan::{Library, Status, Verdict};
use anyhow::Result;

use crate::format::{Width, table, text};
use crate::outcome::{Outcome, Skipped};
use crate::targets::Found;

/// How many files have a library, by what was said of it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    ready: usize,
    partial: usize,
    refused: usize,
    recorded: usize,
}

impl Counts {
    fn add(&mut self, library: &Library) {
        *match (library.status, library.verdict) {
            (Status::Recorded, _) => &mut self.recorded,
            (Status::Instrumented | Status::Custom, Verdict::Ready) => &mut self.ready,
            (Status::Instrumented | Status::Custom, Verdict::Partial) => &mut self.partial,
            (Status::Instrumented | Status::Custom, Verdict::Refused) => &mut self.refused,
        } += 1;
    }
}

/// Counts by library.
#[derive(Debug, Default)]
pub struct Tally {
    libraries: BTreeMap<String, Counts>,
    skipped: BTreeMap<Skipped, usize>,
    plans: usize,
    unreadable: usize,
}

impl Tally {
    /// Begins with what is skipped and what fails before any file is read.
    pub fn new(found: &Found) -> Self {
        let skipped = BTreeMap::from([(Skipped::NotElf, found.not_elf)]);
        Tally { skipped, unreadable: found.errors.len(), ..Tally::default() }
    }

    /// Counts a file.
    pub fn add(&mut self, outcome: &Outcome) {
        match (&outcome.result, outcome.skipped) {
            (_, Some(why)) => *self.skipped.entry(why).or_default() += 1,
            (Err(_), None) => self.unreadable += 1,
            (Ok(plan), None) => {
                self.plans += 1;
                for library in &plan.libraries {
                    self.libraries.entry(library.id.clone()).or_default().add(library);
                }
            }
        }
    }

    /// Whether a library that strobe traces is not ready in some file.
    pub fn has_doubts(&self) -> bool {
        self.libraries.values().any(|counts| counts.partial + counts.refused > 0)
    }

    /// Why a required library is missing; nothing when it is ready in a file.
    pub fn missing(&self, id: &str) -> Option<String> {
        let counts = self.libraries.get(id).copied().unwrap_or_default();
        let ways =
            [(counts.refused, "refused"), (counts.partial, "partial"), (counts.recorded, "not traced yet")];
        let ways = ways.into_iter().filter(|(count, _)| *count > 0);
        let why = match self.plans {
            _ if counts.ready > 0 => return None,
            0 => "no Go program was found that could have it".to_owned(),
            1 if counts == Counts::default() => "it is not in the binary".to_owned(),
            1 => format!("it is {}, not ready", ways.map(|(_, word)| word).collect::<Vec<_>>().join(", ")),
            plans if counts == Counts::default() => format!("it is in none of the {plans} Go programs"),
            plans => {
                let ways: Vec<String> = ways.map(|(count, word)| format!("{word} in {count}")).collect();
                format!("it is ready in none of the {plans} Go programs: {}", ways.join(", "))
            }
        };
        Some(format!("required library {id}: {why}"))
    }

    /// Prints the table.
    pub fn print(&self, out: &mut impl Write, found: &Found, width: Width) -> Result<()> {
        let mut rows = table::new(width, 2, &["library", "ready", "partial", "refused", "recorded"]);
        for (id, counts) in &self.libraries {
            let numbers = [counts.ready, counts.partial, counts.refused, counts.recorded];
            rows.add_row(std::iter::once(id.clone()).chain(numbers.iter().map(ToString::to_string)));
        }
        for line in text::wrap(&self.sentence(found), width) {
            writeln!(out, "{line}")?;
        }
        table::print(out, &rows, "  ")
    }

    fn sentence(&self, found: &Found) -> String {
        let skipped: usize = self.skipped.values().sum();
        let total = skipped + self.plans + self.unreadable;
        let mut sentence = format!("{total} files: {} Go programs, {} failed", self.plans, self.unreadable);
        if found.folders > 0 {
            let kinds = self.skipped.iter().filter(|(_, count)| **count > 0);
            let kinds: Vec<String> = kinds.map(|(why, count)| format!("{count} {}", why.words())).collect();
            let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
            sentence += &format!(", {skipped} skipped{kinds}");
        }
        if found.not_entered > 0 {
            sentence += &format!("; {} file systems of the kernel's own not entered", found.not_entered);
        }
        sentence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(plans: usize, counts: Counts) -> Tally {
        let libraries = BTreeMap::from([("a".to_owned(), counts)]);
        Tally { libraries, plans, ..Tally::default() }
    }

    #[test]
    fn one_file_that_is_ready_is_enough() {
        let counts = Counts { ready: 1, refused: 4, ..Counts::default() };
        assert_eq!(tally(5, counts).missing("a"), None);
        let why = |tally: Tally| tally.missing("a").expect("missing");
        assert!(why(Tally::default()).ends_with("no Go program was found that could have it"));
        assert!(why(tally(1, Counts::default())).ends_with("it is not in the binary"));
        assert!(why(tally(3, Counts::default())).ends_with("it is in none of the 3 Go programs"));
        let refused = Counts { refused: 1, ..Counts::default() };
        assert!(why(tally(1, refused)).ends_with("it is refused, not ready"));
        let both = Counts { refused: 2, recorded: 1, ..Counts::default() };
        assert!(why(tally(4, both)).ends_with("of the 4 Go programs: refused in 2, not traced yet in 1"));
    }
}
