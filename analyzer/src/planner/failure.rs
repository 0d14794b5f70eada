//! Why one alternative of a role cannot be taken: an intermediate answer, which becomes a finding when none can.

use offsets::catalog::Role;

use super::verdict::Matter;
use crate::plan::Code;

/// Why an alternative cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure(pub Code, pub String);

impl Failure {
    /// The finding about the role that this alternative was to serve.
    pub fn of(self, role: &Role, function: &str) -> Matter {
        let Failure(code, why) = self;
        Matter::new(code, function, format!("no site for role {} in {function}: {why}", role.name))
    }
}
