//! What `strobe exec` ends with where the command has no status of its own; as `env` has them.

/// strobe itself failed.
pub const STATUS_FAILED: u8 = 125;
/// The command cannot be run.
pub const STATUS_CANNOT_RUN: u8 = 126;
/// The command was not found.
pub const STATUS_NOT_FOUND: u8 = 127;
