//! What the libraries that call over HTTP share: their programs' configuration ([`config`]), and how the records of a round trip become a
//! CLIENT span.
//!
//! ```text
//!  records ──► begun ──► joiner ──► span
//!   checked     what is   until      names, attributes, status
//!   views       kept      the end
//! ```

mod begun;
mod carrier;
mod config;
mod joiner;
mod records;
mod span;
mod url;

pub use config::HttpClient;
pub use joiner::Names;
pub(crate) use joiner::names;

use runtime_ebpf::http_client::IN_FLIGHT_BYTES;

use super::library::{Carrier, Flight};

/// Requests over HTTP/1.x: a line in the buffer of the connection's writer.
pub const LINES: Carrier = Carrier { what: "requests over HTTP/1.x", roles: &["conn", "header"] };
/// Those over HTTP/2: a field behind the header block.
pub const BLOCKS: Carrier = Carrier { what: "requests over HTTP/2", roles: &["stream", "frame"] };

/// A library's table of what is in flight, by the names of its maps.
pub const fn flight(
    map: &'static str,
    use_map: &'static str,
    entries_global: &'static str,
    part: u32,
) -> Flight {
    Flight { map, value_bytes: IN_FLIGHT_BYTES, use_map, entries_global, part, lost: None }
}
