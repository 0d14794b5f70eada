//! What a table says, in whatever form.

use crate::commands::figures::Field;

/// What another program's table says of one field in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Of what.
    pub field: Field,
    /// As the database spells it.
    pub version: String,
    /// None: it has no such field.
    pub offset: Option<u64>,
}
