//! strobe's catalog of instrumented libraries and its database of struct field offsets.
//!
//! Two bodies of data live here and are embedded into every program that links this crate:
//!
//! - [`catalog`]: what each instrumentation needs of a Go library (functions, fields, itabs, maps), written by hand, one
//!   TOML file per library under `catalog/`;
//! - [`database`]: where those fields lie in each tested version, written by `offsetgen` alone, one JSON file per Go
//!   module under `data/`.
//!
//! [`version`] is the grammar both are read with, [`names`] what packages, types and functions are called, [`printable`] what of a text goes to a terminal, [`abi`] where a
//! function's parameters and results lie. Deliberately not here: I/O, networking, ELF, and what the database is made from
//! (`offsetgen`). A caller that has files of its own hands their text over.

pub mod abi;
pub mod catalog;
pub mod database;
mod later;
pub mod names;
pub mod printable;
pub mod version;

pub use database::{Answer, Basis, Database, DatabaseError, Lookup, VersionMatch};
pub use later::Later;
pub use names::STD;
pub use version::Version;

/// The architectures that the database has figures for, as Go spells them.
pub const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];
