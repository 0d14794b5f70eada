//! The Go version of a binary without build information (Bazel's rules leave none, nor do some linker flags).
//!
//! `runtime.buildVersion` is a string variable: a pointer and a length among the variables that hold pointers
//! (`moduledata.data` to `edata`). It is taken for the version when exactly one text of that form is there, and its minor
//! release has the very layout that moduledata has; else nothing is said.

use super::moduledata::ModuleData;
use super::release::Minor;
use super::types::{Kind, Types, closure};
use crate::bytes;
use crate::image::Image;

/// `go1.0` to `devel go1.27-0123456789 Mon Jan …`.
const LENGTHS: std::ops::RangeInclusive<u64> = 5..=96;

/// The version that the run time knows itself by.
pub fn left_behind(image: &Image<'_>, module: &ModuleData) -> Option<String> {
    let len = module.edata.checked_sub(module.data)?;
    let words = image.bytes(module.data, len)?;
    let mut found: Option<String> = None;
    for at in (0..words.len()).step_by(8) {
        let Some(len) = bytes::u64(words, at.saturating_add(8)).filter(|l| LENGTHS.contains(l)) else {
            continue;
        };
        let Some(text) = text(image, module.data.checked_add(at as u64)?, len) else { continue };
        if Minor::of_version(&text).is_none_or(|minor| !module.fits(minor)) || found.as_ref() == Some(&text) {
            continue;
        }
        if found.is_some() {
            return None;
        }
        found = Some(text);
    }
    found
}

fn text(image: &Image<'_>, pointer: u64, len: u64) -> Option<String> {
    let text = image.bytes(image.pointer(pointer)?, len)?;
    let is_version = text.starts_with(b"go1.") || text.starts_with(b"devel go1.");
    let printable = text.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
    (is_version && printable).then(|| String::from_utf8_lossy(text).into_owned())
}

/// Whether fields stand at twice their offset, as in Go 1.18: then some would begin behind their struct's end.
pub fn offsets_are_doubled(types: &Types<'_>) -> bool {
    let mut doubled = false;
    let walked = closure::walk(types, |t| {
        if t.kind == Kind::Struct && !doubled {
            doubled = types.fields(t).any(|f| f.offset > t.size());
        }
    });
    walked.is_ok() && doubled
}
