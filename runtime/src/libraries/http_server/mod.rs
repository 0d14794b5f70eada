//! What the libraries that serve HTTP share: the records of a handled request become a SERVER span.
//!
//! ```text
//!  records ──► request_text ──► begun ──► joiner ──► span
//!   checked     what Go reads    what is   until      names, attributes, status
//!   views       in the text      kept      the end
//! ```

mod begun;
mod fields;
mod forwarded;
mod joiner;
mod more;
mod records;
mod request_text;
mod span;

use runtime_ebpf::http_server::IN_FLIGHT_BYTES;

use super::library::Flight;

pub use fields::{ANYWHERE, HTTP_REQUEST, last, reach, request, string_limit, word_limit};
pub use joiner::Joiner;

/// The table of what is open between two hits, which all of them share.
pub const FLIGHT: Flight = Flight {
    map: "HTTP_SERVER_FLIGHT",
    value_bytes: IN_FLIGHT_BYTES,
    use_map: "HTTP_SERVER_USE",
    entries_global: "HTTP_SERVER_ENTRIES",
    part: 1,
    lost: None,
    gives_way: None,
};
