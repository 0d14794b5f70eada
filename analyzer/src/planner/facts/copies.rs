//! The functions of the names that the catalog wants.

use crate::error::{ErrorKind, Result};
use crate::go::functions::Function;

/// Most copies of one function: an assembly function and its wrapper are two, and each copy costs decoding and probes.
pub(in crate::planner) const MAX_COPIES: usize = 64;
/// More functions than this with the names that the catalog wants end it: a server has some hundreds.
const MAX_FOUND: u64 = 1 << 16;

/// The functions of one wanted name.
#[derive(Debug, Default)]
pub(in crate::planner) struct Copies<'a> {
    /// The first ones: one more than a role may have, so that whoever reads this sees that they are too many.
    pub kept: Vec<Function<'a>>,
    /// How many there are.
    pub count: u64,
}

impl<'a> Copies<'a> {
    /// One more.
    pub fn add(&mut self, function: Function<'a>) {
        self.count += 1;
        if self.kept.len() <= MAX_COPIES {
            self.kept.push(function);
        }
    }
}

/// Whether so many functions of all wanted names are still to be believed.
pub(super) fn within_budget(count: u64) -> Result<()> {
    let what = "functions of the names that the catalog wants";
    if count <= MAX_FOUND { Ok(()) } else { Err(ErrorKind::Budget { what, count, limit: MAX_FOUND }) }
}
