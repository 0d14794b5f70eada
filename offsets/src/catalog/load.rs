//! From the texts of a folder to its entries.

use super::entry::{Entry, Status};
use super::error::CatalogError;
use super::raw;

/// The line of a file's first key of that name, from 1.
pub(super) fn line_with(text: &str, key: &str) -> usize {
    let is_it = |line: &str| line.split('=').next().is_some_and(|found| found.trim() == key);
    text.lines().position(is_it).map_or(1, |line| line + 1)
}

/// Reads catalog files of strobe's: pairs of file name and text. What is traced says what comes of it.
pub fn load_dir<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Entry>, CatalogError> {
    let files: Vec<(&str, &str)> = files.into_iter().collect();
    let entries = read(files.iter().copied())?;
    let is_silent = |entry: &&Entry| entry.status == Status::Instrumented && entry.operations.is_empty();
    let Some(silent) = entries.iter().find(is_silent) else { return Ok(entries) };
    let text = files.iter().find(|(file, _)| *file == silent.file).map_or("", |(_, text)| text);
    Err(CatalogError {
        file: silent.file.clone(),
        line: line_with(text, "status"),
        key: "status".to_owned(),
        reason: "a library that is traced has an [[operation]]: a span, or what it adds to another's"
            .to_owned(),
    })
}

/// Reads catalog files that the caller has: pairs of file name and text. Ids must be unique among them, but for instances of one
/// module whose versions do not overlap: no binary has two of those.
pub(super) fn read<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<Entry>, CatalogError> {
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
