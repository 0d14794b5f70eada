//! Inline trees: which functions had which others inlined into them.
//!
//! An entry is 16 bytes (`{u8 funcID, pad 3, i32 name, i32 parentPc, i32 startLine}`) since 1.20 and 20 before (`{i16
//! parent, u8 funcID, pad, i32 file, i32 line, i32 name, i32 parentPc}`). A tree does not say how long it is.
//!
//! A probe on a function that was inlined somewhere misses those calls, and only these trees tell. So: all trees lie
//! together; look through them once for the names' offsets, and only for a hit find out whose tree it is.

use super::functions::{Function, Functions};
use super::wanted::Offsets;
use crate::bytes;
use crate::image::Image;

/// More entries than this no tree has.
const MAX_ENTRIES: u64 = 1 << 16;

/// `inlined` was inlined into `outer`.
#[derive(Debug, Clone, Copy)]
pub struct Inlining<'a> {
    /// Position of the inlined function's name in the question.
    pub inlined: usize,
    /// The function that holds the copy.
    pub outer: Function<'a>,
}

/// Sizes of an entry of this binary.
#[derive(Clone, Copy)]
struct Shape {
    size: u64,
    name_at: u64,
}

impl Shape {
    fn of(since_120: bool) -> Self {
        if since_120 { Shape { size: 16, name_at: 4 } } else { Shape { size: 20, name_at: 12 } }
    }
}

/// Where the trees are: from the first to the last that was seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds(Option<(u64, u64)>);

impl Bounds {
    /// Takes one more function into account.
    pub fn add(&mut self, functions: &Functions<'_>, function: &Function<'_>) {
        if let Some(tree) = functions.inline_tree(function) {
            let (first, last) = self.0.unwrap_or((tree, tree));
            self.0 = Some((first.min(tree), last.max(tree)));
        }
    }
}

/// Finds everything that the functions of these names were inlined into. All functions must be in the bounds.
pub fn find<'a>(
    image: &Image<'_>,
    functions: &Functions<'a>,
    since_120: bool,
    names: &Offsets,
    bounds: Bounds,
) -> Vec<Inlining<'a>> {
    let shape = Shape::of(since_120);
    let hits = hits(image, bounds, shape, names);
    if hits.is_empty() {
        return Vec::new();
    }
    let mut trees: Vec<(u64, u64)> =
        functions.iter().filter_map(|f| Some((functions.inline_tree(&f)?, f.index))).collect();
    trees.sort_unstable();
    let mut out = Vec::new();
    for (at, inlined) in hits {
        owners(functions, &trees, shape, at, |outer| out.push(Inlining { inlined, outer }));
    }
    out
}

/// Addresses of words that equal one of the names' offsets, and could be the name of an entry.
fn hits(image: &Image<'_>, bounds: Bounds, shape: Shape, names: &Offsets) -> Vec<(u64, usize)> {
    let Some((first, last)) = bounds.0 else { return Vec::new() };
    let region = image.tail(first).unwrap_or_default();
    let len = last.saturating_sub(first).saturating_add(MAX_ENTRIES * shape.size);
    let region =
        region.get(..usize::try_from(len).unwrap_or(usize::MAX).min(region.len())).unwrap_or_default();
    let mut out = Vec::new();
    for (i, word) in region.chunks_exact(4).enumerate() {
        if let Some(inlined) = names.position(bytes::u32(word, 0).unwrap_or(0)) {
            out.push((first.wrapping_add(i as u64 * 4), inlined));
        }
    }
    out
}

/// The functions whose tree has an entry with its name at `at`. Functions may share a tree.
fn owners<'a>(
    functions: &Functions<'a>,
    trees: &[(u64, u64)],
    shape: Shape,
    at: u64,
    mut found: impl FnMut(Function<'a>),
) {
    let end = trees.partition_point(|&(tree, _)| tree <= at);
    let Some(&(tree, _)) = end.checked_sub(1).and_then(|i| trees.get(i)) else { return };
    let Some(distance) = (at - tree).checked_sub(shape.name_at).filter(|d| d % shape.size == 0) else {
        return;
    };
    let start = trees.partition_point(|&(t, _)| t < tree);
    for &(_, index) in trees.get(start..end).unwrap_or_default() {
        if let Some(function) = functions.get(index)
            && distance / shape.size < functions.inline_tree_len(&function)
        {
            found(function);
        }
    }
}
