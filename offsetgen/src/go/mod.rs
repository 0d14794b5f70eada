//! Go itself: which releases there are, their toolchains, and the go command.
//!
//! | module | has |
//! |---|---|
//! | [`release`] | releases of Go, spelled and listed |
//! | [`choice`] | which of them compiles what |
//! | [`cache`] | where toolchains, modules and compiled packages lie |
//! | [`toolchain`] | a toolchain in the cache, verified and ready: by [`download`], or where there is no Go by [`bootstrap`] |
//! | [`dirhash`], [`unpack`] | a module's zip: its hash, and its files |
//! | [`command`] | the go command, run and watched |
//! | [`listing`] | the versions of any module, and its go.mod |
//! | [`experiments`] | the experiments of a release that can change a layout |

pub mod cache;
pub mod choice;
pub mod command;
pub mod experiments;
pub mod listing;
pub mod release;
pub mod toolchain;

mod bootstrap;
mod dirhash;
mod download;
mod unpack;
