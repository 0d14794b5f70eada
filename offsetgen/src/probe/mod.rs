//! One build: a version of a module, a toolchain, an axis; from the catalog's probe target to what the DWARF says.
//!
//! ```text
//! recipe ─► workspace: the programs ─► modules: `go list` ─► compile: `go build` ─► dwarf ─► shape
//!                                                               └─ unreached: what the source declares beside it
//! ```
//!
//! | module | has |
//! |---|---|
//! | [`wanted`] | what the catalog wants of one version |
//! | [`axis`] | what it is compiled for |
//! | [`recipe`] | both, with what is known of the version |
//! | [`source`] | a digest of packages' source |
//! | [`declared`], [`symbol`], [`tokens`] | what a source declares |
//! | [`shape`] | the result |

pub mod axis;
pub mod compile;
pub mod dwarf;
pub mod recipe;
pub mod shape;
pub mod symbol;
pub mod wanted;

mod declared;
mod modules;
mod source;
mod tokens;
mod unreached;
mod workspace;
