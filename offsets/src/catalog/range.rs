//! Ranges of versions.

use serde::{Deserialize, Serialize};

use crate::Version;

/// A half-open range of versions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Range {
    /// The first version in it; none is the beginning.
    pub since: Option<Version>,
    /// The first version after it; none is no end.
    pub until: Option<Version>,
}

impl Range {
    /// Whether a version lies in it. A pre-release of Go counts as its release: `1.23rc1` has what came `since = "1.23"`.
    pub fn contains(&self, version: &Version) -> bool {
        let version = version.as_released();
        self.since.as_ref().is_none_or(|since| *since <= version)
            && self.until.as_ref().is_none_or(|until| version < *until)
    }

    /// Whether two ranges have a version in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let before =
            |x: &Self, y: &Self| matches!((&x.until, &y.since), (Some(until), Some(since)) if until <= since);
        !before(self, other) && !before(other, self)
    }
}
