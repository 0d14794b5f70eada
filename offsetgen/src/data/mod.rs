//! The database's files: read by each command, written by `build`, `update` and `merge`.
//!
//! | module | has |
//! |---|---|
//! | [`folder`] | a folder of documents, and the lock on it |
//! | [`document`] | one module's document, read to be written again, and written |
//! | [`text`] | its one text |
//! | [`unknown`] | what it has that this program would lose |
//! | [`index`] | what a folder says of its documents |
//! | [`listing`] | a folder's files as they are |

pub mod document;
pub mod folder;
pub mod text;

mod index;
mod listing;
mod unknown;
