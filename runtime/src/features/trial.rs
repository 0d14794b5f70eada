//! What came of trying something.

use std::fmt;

use nix::errno::Errno;

/// What came of trying something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// It works.
    Works,
    /// The kernel said no.
    Refused(Errno),
    /// There was nothing to try it with, for this reason.
    Impossible(String),
}

impl Trial {
    /// Whether it works.
    pub fn works(&self) -> bool {
        *self == Self::Works
    }

    /// Whether it was a privilege that was lacking.
    pub fn denied(&self) -> bool {
        matches!(self, Self::Refused(Errno::EACCES | Errno::EPERM))
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => f.write_str("tried: it works"),
            Self::Refused(errno) => write!(f, "tried: {} ({errno:?})", errno.desc()),
            Self::Impossible(why) => write!(f, "not tried: {why}"),
        }
    }
}
