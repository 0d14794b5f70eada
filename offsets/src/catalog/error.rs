//! What can be wrong with a catalog file: one message that says which file, which line, which key, and why.

use crate::printable::printable;

/// A catalog file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {}: {}", printable(file), printable(key), printable(reason))]
pub struct CatalogError {
    /// The file's name as the caller gave it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The key, with its table (`field.kind`).
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}
