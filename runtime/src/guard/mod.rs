//! guard: the safety of targets, and nothing else.

pub mod keeper;
pub mod state;
