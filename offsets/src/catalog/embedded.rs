//! The catalog that is part of every program that links this crate. build.rs reads the TOML, with the crate's own modules, and embeds the
//! entries, so that no program has to read TOML each time that it starts.

use std::sync::LazyLock;

use super::load::{line_with, read};
use super::{CatalogError, Entry, Status, limits};

// `TARGETS`, every file of `catalog/targets/` by name, and `ENTRIES`, all entries as postcard has them; build.rs writes both.
include!(concat!(env!("OUT_DIR"), "/catalog.rs"));

/// The embedded catalog, decoded once. What is traced comes first, as in a Plan.
pub fn entries() -> &'static [Entry] {
    static DECODED: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        // They are part of the program, written by the same types when it was built.
        postcard::from_bytes(ENTRIES).unwrap_or_else(|error| panic!("embedded catalog: {error}"))
    });
    &DECODED
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
    let added = read(own.iter().copied())?;
    limits::check_own(&added)?;
    for entry in added {
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
