//! The tables that Go's linker leaves for its own run time, and that no `strip` removes.

pub mod arginfo;
pub mod buildinfo;
pub mod functions;
pub mod held;
pub mod inline;
pub mod moduledata;
pub mod notes;
pub mod pclntab;
pub mod release;
pub mod types;
pub mod version;
pub mod wanted;
