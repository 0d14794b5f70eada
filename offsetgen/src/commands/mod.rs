//! One module for each command. What several of them share:
//!
//! | module | has |
//! |---|---|
//! | [`figures`] | what may be said of a field where the answer has no room for a doubt |
//! | [`tables`] | other programs' tables, read by [`compare`] and written by [`export`] |

pub mod build;
pub mod compare;
pub mod diff;
pub mod export;
pub mod lookup;
pub mod merge;
pub mod report;
pub mod toolchain;
pub mod verify;

mod figures;
mod tables;
