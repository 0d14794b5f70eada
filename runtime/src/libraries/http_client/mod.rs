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

pub use carrier::{BLOCKS, LINES};
pub use config::HttpClient;
pub use joiner::Names;
pub(crate) use joiner::names;

use runtime_ebpf::http_client::IN_FLIGHT_BYTES;

use super::library::Flight;

/// A library's table of what is in flight, by the names of its maps.
pub const fn flight(
    map: &'static str,
    use_map: &'static str,
    entries_global: &'static str,
    part: u32,
) -> Flight {
    Flight { map, value_bytes: IN_FLIGHT_BYTES, use_map, entries_global, part, lost: None, gives_way: None }
}
