//! Who says what a Plan says.

use serde::{Deserialize, Serialize};

/// Who knows a field's offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Witness {
    /// The binary's own type descriptors.
    Types,
    /// The binary's DWARF.
    Dwarf,
    /// The offset database, for this very version or between two that agree.
    Database,
    /// The function's argument words and their places in its caller's frame, which every binary has for tracebacks.
    Args,
}
