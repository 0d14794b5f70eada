//! The catalog: what each instrumented library is made of, and what the agent needs of it.
//!
//! One TOML file per library under `catalog/` (its README explains every key). The text is read strictly: an unknown
//! key, a missing one, a version that is none, two roles of one name are errors that name file, line and key.
//!
//! Deliberately not here: whether a given binary has these functions and fields (the analyzer says), and where the
//! fields lie ([`crate::database`]).

mod embedded;
mod entry;
mod error;
mod limits;
mod load;
mod operation;
mod range;
mod raw;
mod reader;
mod role;
mod site;
#[cfg(test)]
mod tests;
mod types;
mod values;

pub use embedded::{entries, entry, targets, with_own};
pub use entry::{Entry, Field, Itab, Map, Status, Target, Variant, owner};
pub use error::CatalogError;
pub use load::load_dir;
pub use operation::{Attribute, Hits, Makes, Operation, SpanKind};
pub use range::Range;
pub use role::{Has, Role, Unless};
pub use site::{At, Indirect, Site};
pub use types::WantedType;
pub use values::{Source, Value};
