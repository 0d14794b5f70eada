//! Many builds: which versions of a module there are, each built ([`crate::probe`]), and what they have shown folded into one
//! document.
//!
//! ```text
//! per module:  which versions ─► each on amd64 ─► where a layout begins and ends: on arm64, and with the oldest Go and the
//!              versions          first            newest dependencies (edges) ─► check the catalog ─► fold ─► one file
//!
//!              first, edges ─► tasks ─► pipeline: build, or follow another version ─► outcomes ─► observations
//! ```
//!
//! What the database has is not built again. Each build's result is kept in the cache ([`journal`]) until the file is
//! written, in one step, at the module's end; its bytes depend on what was observed alone, not on the order in which it was.

pub mod observations;
pub mod run;
pub mod surroundings;

mod check;
mod disproof;
mod edges;
mod first;
mod fold;
mod follow;
mod journal;
mod merge;
mod outcomes;
mod pipeline;
mod recording;
mod task;
#[cfg(test)]
mod tests;
mod versions;

/// Part of every record; a new one makes old journal entries void. The number behind the plus sign rises when what is
/// recorded changes between two releases of strobe.
const GENERATOR: &str = concat!(env!("CARGO_PKG_VERSION"), "+3");
/// How it compiles.
const SETTINGS: &str = "CGO_ENABLED=0 GOFLAGS= GOEXPERIMENT= GOAMD64= GOARM64= GOOS=linux go build -trimpath -ldflags=-compressdwarf=false";
