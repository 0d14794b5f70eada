//! What this kernel and these privileges allow, and which of it strobe cannot do without.
//!
//! What can be tried is tried ([`trials`]), since capabilities promise more than kernels and policies keep. Names come
//! afterwards: when something was refused, [`Facts`] says what is missing.

mod facts;
mod missing;
mod namespace;
mod report;
mod trial;
pub mod trials;

pub use facts::{Facts, uprobes_want_sys_admin};
pub use missing::{Missing, OLDEST_KERNEL, Version};
pub use namespace::PidNamespace;
pub use report::{Feature, report};
pub use trial::Trial;
