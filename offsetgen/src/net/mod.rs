//! The network: a Go module proxy, as far as `offsetgen` itself must talk to it.
//!
//! The go command is the better downloader (it checks the signed checksum database), so this is for what it cannot do:
//! version lists, a quick and bounded first question, and the first toolchain where there is no Go at all.

mod client;
mod proxy;

pub use client::{Client, FetchError};
pub use proxy::{Proxies, escape, goproxy};

/// The proxies and what to ask them with; set up when it is first needed.
pub struct Network {
    /// The raw list, for the go command.
    pub goproxy: String,
    /// The list, for us.
    pub proxies: Proxies,
    /// Our client.
    pub client: Client,
}
