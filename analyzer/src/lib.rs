//! Reads Go executables, stripped ones above all, and plans the probes for them.
//!
//! [`plan`] is the way in: bytes to [`Plan`]. Below it lie an ELF [`image`], Go's own tables ([`go`]) in it, the
//! [`sites`] for probes in its code, and the planner that holds all of them against the catalog.
//!
//! Nothing here does I/O except [`plan_file`], the look-up of a [`debug_file`] and of the user's [`own`] catalog, nothing panics on any input, and nothing
//! allocates more than a stated bound from a length that it read.

pub mod arch;
mod bytes;
pub mod debug_file;
pub mod dwarf;
pub mod error;
mod foreign;
pub mod go;
pub mod go_image;
pub mod image;
mod mapped;
mod options;
pub mod own;
pub mod plan;
mod planner;
pub mod sites;

use std::path::{Path, PathBuf};

use debug_file::Search;
pub use error::{Error, ErrorKind};
pub use go_image::GoImage;
pub use mapped::{Mapped, map};
pub use options::Options;
pub use plan::Plan;

/// Plans the probes for the file with these bytes; `file_name` is what the Plan and errors call it.
pub fn plan(bytes: &[u8], file_name: &str, options: &Options) -> Result<Plan, Error> {
    plan_with(bytes, file_name, options, &Search::default())
}

/// The same, with DWARF from a file of its own when one is found there and the binary has none.
pub fn plan_with(
    bytes: &[u8],
    file_name: &str,
    options: &Options,
    debug: &Search<'_>,
) -> Result<Plan, Error> {
    let make = || planner::make(&GoImage::parse(bytes)?, file_name, options, debug);
    make().map_err(|kind| Error { file: file_name.to_owned(), kind })
}

/// Plans the probes for a file, mapped read-only. Debug files are looked for beside it and in these folders.
pub fn plan_file(path: &Path, options: &Options, debug_roots: &[PathBuf]) -> Result<Plan, Error> {
    let name = path.to_string_lossy();
    let fail = |kind| Error { file: name.clone().into_owned(), kind };
    let map = map(path).map_err(fail)?;
    let plan = plan_with(&map, &name, options, &Search { binary: Some(path), roots: debug_roots });
    // Whatever was made of bytes that changed meanwhile.
    map.is_unchanged().map_err(fail)?;
    plan
}
