//! `net/http.client`: the records of a round trip become a CLIENT span.
//!
//! ```text
//!  records ──► begun ──► joiner ──► span
//!   checked     what is   until      names, attributes, status
//!   views       kept      the end
//! ```

mod begun;
mod joiner;
mod records;
mod span;
mod url;

pub use joiner::Joiner;
