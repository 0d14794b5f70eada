//! gRPC: the configuration of the server's and the client's programs ([`server`], [`client`]), and how their records become spans.
//!
//! ```text
//!  records ──► begun ──► joiner ──► span
//!   checked     what is   until      names, attributes, status
//!   views       kept      the end
//! ```

mod begun;
pub mod client;
mod config;
mod joiner;
mod records;
pub mod server;
mod span;
mod status;
mod target;
