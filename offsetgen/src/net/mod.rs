//! The network: a Go module proxy, as far as `offsetgen` itself must talk to it.
//!
//! The go command is the better downloader (it checks the signed checksum database), so this is for what it cannot do:
//! version lists, a quick and bounded first question, and the first toolchain where there is no Go at all.

mod client;
mod proxy;

pub use client::{Client, FetchError};
pub use proxy::{Proxies, goproxy};
