//! What a document says, held against what can be: a figure that no compiler gives, or a path that no module has, was put there
//! by something else than offsetgen.

use super::error::DatabaseError;
use super::format::{Document, Struct};
use crate::names;

/// Structs end here: those of libraries have some thousand bytes.
const MAX_BYTES: u64 = 1 << 31;

/// Looks at the module's path, and at every size and offset.
pub(super) fn check(file: &str, document: &Document) -> Result<(), DatabaseError> {
    let error = |path: String, reason: String| DatabaseError::Content { file: file.to_owned(), path, reason };
    if !names::is_module_path(&document.module) {
        return Err(error("module".to_owned(), format!("{:?} is no module's path", document.module)));
    }
    let structs = document.structs.iter().map(|(name, record)| (name, of_struct(record)));
    let (name, (path, reason)) = match structs.filter_map(|(name, found)| Some((name, found.err()?))).next() {
        Some(found) => found,
        None => return Ok(()),
    };
    Err(error(format!("structs.{name}.{path}"), reason))
}

/// The first thing that is wrong: where, and what.
fn of_struct(record: &Struct) -> Result<(), (String, String)> {
    let too_big =
        |bytes: u64| (bytes > MAX_BYTES).then(|| format!("{bytes} bytes are more than any struct has"));
    if let Some(reason) = record.sizes.iter().find_map(|run| too_big(run.size)) {
        return Err(("sizes".to_owned(), reason));
    }
    // A field without bytes may lie at the very end.
    let end = record.sizes.iter().map(|run| run.size).max().unwrap_or(MAX_BYTES);
    for (field, runs) in &record.fields {
        let wrong = |offset: u64| {
            let behind =
                (offset > end).then(|| format!("offset {offset} lies behind the struct's end at {end}"));
            too_big(offset).or(behind)
        };
        if let Some(reason) = runs.iter().find_map(|run| wrong(run.offset)) {
            return Err((format!("fields.{field}"), reason));
        }
    }
    Ok(())
}
