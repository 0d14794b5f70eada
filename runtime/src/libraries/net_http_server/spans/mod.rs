//! `net/http.server`: the records of a handled request become a SERVER span.
//!
//! ```text
//!  records ──► request_text ──► begun ──► joiner ──► span
//!   checked     what Go reads    what is   until      names, attributes, status
//!   views       in the text      kept      the end
//! ```

mod begun;
mod joiner;
mod records;
mod request_text;
mod span;

pub use joiner::Joiner;
