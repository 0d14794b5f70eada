//! Reads Go executables, stripped ones above all, and plans the probes for them.
pub mod plan;
pub use plan::Plan;
