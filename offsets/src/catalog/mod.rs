//! The catalog: what each instrumented library is made of, and what the agent needs of it.
//!
//! One TOML file per library under `catalog/` (its README explains every key). The text is read strictly: an unknown
//! key, a missing one, a version that is none, two roles of one name are errors that name file, line and key.
//!
//! Deliberately not here: whether a given binary has these functions and fields (the analyzer says), and where the
//! fields lie ([`crate::database`]).

mod entry;
mod error;
mod limits;
mod range;
mod raw;
mod reader;
mod site;
#[cfg(test)]
mod tests;
mod types;
mod values;

use std::sync::LazyLock;

pub use entry::{Entry, Field, Itab, Map, Role, Status, Target, Variant, owner};
pub use error::CatalogError;
pub use range::Range;
pub use site::{At, Indirect, Site};
pub use types::WantedType;
pub use values::{Source, Value};

// `CATALOG` and `TARGETS`, every file of `catalog/` and of `catalog/targets/` by name; build.rs finds them.
include!(concat!(env!("OUT_DIR"), "/catalog.rs"));

/// The embedded catalog, parsed once.
pub fn entries() -> &'static [Entry] {
    static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        // The embedded files are part of the program, and a test of this crate reads them.
        let read = load_dir(CATALOG.iter().copied());
        let mut entries = read.unwrap_or_else(|error| panic!("embedded catalog: {error}"));
        // What is traced comes first in a Plan.
        entries.sort_by_key(|entry| entry.status == Status::Recorded);
        entries
    });
    &ENTRIES
}

/// The programs of the embedded entries' targets: name and text. They are part of a program that calls this, and of no other.
pub fn targets() -> &'static [(&'static str, &'static str)] {
    TARGETS
}

/// The embedded entry of that id.
pub fn entry(id: &str) -> Option<&'static Entry> {
    entries().iter().find(|entry| entry.id == id)
}

/// The embedded entries, and behind them the user's own, read from pairs of file name and text. An own entry needs neither a
/// `status` nor a `target`, and an id that no other has.
pub fn with_own<'a>(own: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Entry>, CatalogError> {
    let own: Vec<(&str, &str)> = own.into_iter().collect();
    let mut all = entries().to_vec();
    let embedded = all.len();
    let read = load_dir(own.iter().copied())?;
    limits::check_own(&read)?;
    for entry in read {
        let wrong = |key: &str, reason: String| {
            let text = own.iter().find(|(file, _)| *file == entry.file).map_or("", |(_, text)| text);
            CatalogError { file: entry.file.clone(), line: line_with(text, key), key: key.to_owned(), reason }
        };
        if entry.status != Status::Custom {
            let reason = "an entry of your own is \"custom\": say that, or leave the key out";
            return Err(wrong("status", reason.to_owned()));
        }
        if let Some(other) = all.iter().take(embedded).find(|other| other.id == entry.id) {
            let reason = format!("{:?} is the id of strobe's own {}", entry.id, other.file);
            return Err(wrong("id", reason));
        }
        all.push(entry);
    }
    Ok(all)
}

/// The line of a file's first key of that name, from 1.
fn line_with(text: &str, key: &str) -> usize {
    let is_it = |line: &str| line.split('=').next().is_some_and(|found| found.trim() == key);
    text.lines().position(is_it).map_or(1, |line| line + 1)
}

/// Reads catalog files that the caller has: pairs of file name and text. Ids must be unique among them, but for instances of one
/// module whose versions do not overlap: no binary has two of those.
pub fn load_dir<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Entry>, CatalogError> {
    let mut entries: Vec<Entry> = Vec::new();
    for (file, text) in files {
        for entry in raw::parse(file, text)? {
            let successive = |other: &Entry| {
                other.file == entry.file
                    && other.module == entry.module
                    && !other.versions.overlaps(&entry.versions)
            };
            if let Some(other) = entries.iter().find(|other| other.id == entry.id && !successive(other)) {
                let reason = format!("{:?} is the id of {} too", entry.id, other.file);
                let line = line_with(text, "id");
                return Err(CatalogError { file: file.to_owned(), line, key: "id".to_owned(), reason });
            }
            entries.push(entry);
        }
    }
    Ok(entries)
}
