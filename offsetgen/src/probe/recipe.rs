//! What to build.

use offsets::database::format::Tested;

use super::axis::Axis;
use super::wanted::Wanted;

/// What to build.
#[derive(Clone)]
pub struct Recipe<'a> {
    /// The structs, functions and programs.
    pub wanted: &'a Wanted<'a>,
    /// Module and version; none is the toolchain's own library.
    pub module: Option<(&'a str, &'a str)>,
    /// What for.
    pub axis: Axis<'a>,
    /// What is known of the version: the hash that it must have.
    pub known: &'a Tested,
    /// Whether a module that no checksum database vouches for is taken.
    pub trust_on_first_use: bool,
}
