//! Inline trees: which functions had which others inlined into them.
//!
//! An entry is 16 bytes (`{u8 funcID, pad 3, i32 name, i32 parentPc, i32 startLine}`) since 1.20 and 20 before (`{i16
//! parent, u8 funcID, pad, i32 file, i32 line, i32 name, i32 parentPc}`). A tree does not say how long it is.
//!
//! A probe on a function that was inlined somewhere misses those calls, and only these trees tell. So: all trees lie
//! together; look through them once for the names' offsets, and only for a hit find out whose tree it is.
//!
//! Any number of functions may share a tree, and any number of its entries may have a wanted name. So owners are counted,
//! not listed: the lengths that a tree's functions give it are sorted once, and a hit's owners are those with more.

use std::collections::BTreeMap;
use std::ops::Range;

use offsets::names;

use super::functions::{Function, Functions, Run};
use super::release::Pclntab;
use super::wanted::Offsets;
use crate::bytes;
use crate::error::{ErrorKind, Result};
use crate::image::Image;

/// More entries than this no tree has.
const MAX_ENTRIES: u64 = 1 << 16;
/// More words that equal a wanted name's offset than these trees do not have: 11 are the most in the files of the corpus. This bounds the memory for them.
const MAX_HITS: usize = 1 << 18;
/// More runs of pc-value tables than this are not read to measure the trees that have hits. Real binaries need some dozens;
/// but any number of functions may share a table of a million runs.
const MAX_RUNS: u64 = 1 << 24;

/// Most functions that are named as holding a copy of one function; how many copies there are is counted beyond it.
pub const MAX_HOLDERS: usize = 64;

/// A wanted function was inlined.
#[derive(Debug, Clone)]
pub struct Inlining<'a> {
    /// Functions that hold a copy, those with the lowest addresses of trees first: up to one more than [`MAX_HOLDERS`], so that
    /// whoever reads this sees that there are more.
    pub holders: Vec<Function<'a>>,
    /// How many copies there are.
    pub copies: u64,
}

/// How many entries of a tree are looked at that has these indexes into it.
pub fn len(runs: &[Run]) -> u64 {
    let last = runs.iter().map(|run| run.value).max().and_then(|last| u64::try_from(last).ok());
    last.map_or(0, |last| last.saturating_add(1).min(MAX_ENTRIES))
}

/// The offsets in a function at which it runs what was copied from the function of that name, and what that had inlined itself;
/// nothing where its tree does not have it. `runs` are its indexes into its tree ([`Functions::inline_indexes`]).
pub fn bodies(
    image: &Image<'_>,
    functions: &Functions<'_>,
    function: &Function<'_>,
    runs: &[Run],
    name: &str,
) -> Option<Vec<Range<u64>>> {
    let form = functions.header.form;
    let tree = image.bytes(functions.inline_tree(function)?, len(runs).checked_mul(form.inline_size)?)?;
    let entries: Vec<(u32, u32)> = tree
        .chunks_exact(usize::try_from(form.inline_size).ok()?)
        .filter_map(|entry| {
            let at = usize::try_from(form.inline_name_at).ok()?;
            Some((bytes::u32(entry, at)?, bytes::u32(entry, at + 4)?))
        })
        .collect();
    // As long as the name is with an escape for each byte: of a longer one no more is read.
    let longest = 3 * name.len();
    let is_it = |&(offset, _): &(u32, u32)| {
        let found = functions.name_within(offset, longest);
        found.is_some_and(|found| *names::plain(found) == *name.as_bytes())
    };
    let mut inside: Vec<Option<bool>> = entries.iter().map(|entry| is_it(entry).then_some(true)).collect();
    if !inside.contains(&Some(true)) {
        return None;
    }
    let parent = |entry: usize| {
        let pc = u64::from(entries.get(entry)?.1);
        let run = runs.get(runs.partition_point(|run| run.end <= pc))?;
        usize::try_from(run.value).ok()
    };
    for entry in 0..inside.len() {
        let (mut at, mut path) = (Some(entry), Vec::new());
        let known = loop {
            let Some(this) = at else { break false };
            match inside.get_mut(this) {
                None => break false,
                Some(Some(known)) => break *known,
                // Until it is known it counts as outside: parents that go round in a circle end here.
                Some(unknown) => *unknown = Some(false),
            }
            path.push(this);
            at = parent(this);
        };
        for on_path in path {
            if let Some(place) = inside.get_mut(on_path) {
                *place = Some(known);
            }
        }
    }
    let runs = runs.iter().filter(|run| {
        let entry = usize::try_from(run.value).ok().and_then(|entry| inside.get(entry));
        entry.copied().flatten().unwrap_or(false)
    });
    Some(runs.map(|run| run.start..run.end).collect())
}

/// All trees: where each is, counted from where the tables for functions begin, and the position of a function that has it.
#[derive(Debug, Default)]
pub struct Trees(Vec<(u32, u32)>);

/// Room for so many trees is made at once; a file may say that it has any number of functions.
const MAX_RESERVED: usize = 1 << 18;

impl Trees {
    /// For the trees of these functions: mostly every other one has one.
    pub fn of(functions: &Functions<'_>) -> Self {
        let count = usize::try_from(functions.len()).unwrap_or(MAX_RESERVED);
        Trees(Vec::with_capacity(count.min(MAX_RESERVED)))
    }

    /// Takes one more function into account.
    pub fn add(&mut self, functions: &Functions<'_>, function: &Function<'_>) {
        // A file says both in 32 bits.
        if let Some(tree) =
            functions.inline_tree(function).and_then(|at| at.checked_sub(functions.module.gofunc))
            && let (Ok(tree), Ok(index)) = (tree.try_into(), function.index.try_into())
        {
            self.0.push((tree, index));
        }
    }
}

/// Finds which of these names' functions were inlined, by the name's position in the question. The trees are those of all
/// functions.
pub fn find<'a>(
    image: &Image<'_>,
    functions: &Functions<'a>,
    names: &Offsets,
    trees: Trees,
) -> Result<BTreeMap<usize, Inlining<'a>>> {
    let form = functions.header.form;
    let mut out = BTreeMap::new();
    let mut all = trees.0;
    let base = functions.module.gofunc;
    let starts = || all.iter().map(|&(tree, _)| tree);
    let Some((first, last)) = starts().min().zip(starts().max()) else { return Ok(out) };
    let region = base + u64::from(first)..base + u64::from(last);
    let hits = hits(image, region, form, names)?;
    // A linker may write the trees in another order than the functions.
    if !all.is_sorted() {
        keep_owners(&mut all, base, &hits);
        all.sort_unstable();
    }
    let mut owners = Owners { functions, form, all, current: 0..0, measured: 0..0, runs: 0 };
    for (at, inlined) in hits {
        owners.count(at - base, inlined, &mut out)?;
    }
    Ok(out)
}

/// Leaves out the trees that no hit lies in: to sort them all would take longer than anything else here. A hit lies in the last
/// tree that begins at or before it.
fn keep_owners(all: &mut Vec<(u32, u32)>, base: u64, hits: &[(u64, usize)]) {
    let mut owners: Vec<Option<u32>> = vec![None; hits.len()];
    for &(tree, _) in all.iter() {
        let tree_at = base + u64::from(tree);
        if let Some(owner) = owners.get_mut(hits.partition_point(|&(at, _)| at < tree_at)) {
            *owner = (*owner).max(Some(tree));
        }
    }
    let mut last = None;
    for owner in &mut owners {
        last = last.max(*owner);
        *owner = last;
    }
    owners.dedup();
    let owners = Offsets::new(owners.into_iter().flatten().map(|tree| (tree, 0)).collect());
    all.retain(|&(tree, _)| owners.position(tree).is_some());
}

/// Addresses of words that equal one of the names' offsets, and could be the name of an entry; ascending.
fn hits(
    image: &Image<'_>,
    trees: Range<u64>,
    form: &'static Pclntab,
    names: &Offsets,
) -> Result<Vec<(u64, usize)>> {
    let first = trees.start;
    let region = image.tail(first).unwrap_or_default();
    let len = trees.end.saturating_sub(first).saturating_add(MAX_ENTRIES * form.inline_size);
    let region =
        region.get(..usize::try_from(len).unwrap_or(usize::MAX).min(region.len())).unwrap_or_default();
    let mut hits = Vec::new();
    for (i, word) in region.chunks_exact(4).enumerate() {
        let Some(inlined) = names.position(bytes::u32(word, 0).unwrap_or(0)) else { continue };
        // A segment may reach beyond the end of the address space.
        let Some(at) = first.checked_add(i as u64 * 4) else { break };
        hits.push((at, inlined));
        if hits.len() > MAX_HITS {
            let (what, count) = ("words of inline trees that may be wanted names", hits.len() as u64);
            return Err(ErrorKind::Budget { what, count, limit: MAX_HITS as u64 });
        }
    }
    Ok(hits)
}

/// Whose the trees are, and the one that was asked of last.
struct Owners<'f, 'a> {
    functions: &'f Functions<'a>,
    form: &'static Pclntab,
    /// Where the tree is and position of a function that has it; sorted. Of the tree of the last hit how long the function says that it
    /// is, in place of where it is: hits ascend, so no earlier tree is asked for again, and any number of functions may share one.
    all: Vec<(u32, u32)>,
    /// The tree of the last hit, up to the next tree.
    current: Range<u64>,
    /// Its functions in `all`, sorted by length; what stands before them is done with.
    measured: Range<usize>,
    /// How many runs were read.
    runs: u64,
}

impl<'a> Owners<'_, 'a> {
    /// Counts the functions whose tree has an entry with its name at `at`, counted as trees are.
    fn count(&mut self, at: u64, inlined: usize, out: &mut BTreeMap<usize, Inlining<'a>>) -> Result<()> {
        if !self.current.contains(&at) {
            self.turn_to(at)?;
        }
        let distance = at.checked_sub(self.current.start + self.form.inline_name_at);
        let Some(entry) =
            distance.filter(|d| d % self.form.inline_size == 0).map(|d| d / self.form.inline_size)
        else {
            return Ok(());
        };
        let holders = self.all.get(self.measured.clone()).unwrap_or_default();
        let long_enough = holders.partition_point(|&(len, _)| u64::from(len) <= entry);
        let holders = holders.get(long_enough..).unwrap_or_default();
        let copies = holders.len() as u64;
        if copies == 0 {
            return Ok(());
        }
        let known = out.entry(inlined).or_insert(Inlining { holders: Vec::new(), copies: 0 });
        known.copies = known.copies.saturating_add(copies);
        // One function has an entry for each copy that it holds.
        let mut few: Vec<u32> = holders.iter().take(MAX_HOLDERS + 1).map(|&(_, i)| i).collect();
        few.sort_unstable();
        for holder in few.into_iter().filter_map(|i| self.functions.get(i.into())) {
            let is_it = |known: &Function<'_>| known.index == holder.index;
            if known.holders.len() <= MAX_HOLDERS && !known.holders.iter().any(is_it) {
                known.holders.push(holder);
            }
        }
        Ok(())
    }

    /// Finds the tree that lies there, and reads how long it is, once for each of its functions.
    fn turn_to(&mut self, at: u64) -> Result<()> {
        let left = self.all.get(self.measured.end..).unwrap_or_default();
        let end = left.partition_point(|&(tree, _)| u64::from(tree) <= at);
        // No tree begins at or before it that no earlier hit lay in.
        let Some(&(tree, _)) = end.checked_sub(1).and_then(|i| left.get(i)) else { return Ok(()) };
        let start = left.partition_point(|&(t, _)| t < tree);
        self.current = u64::from(tree)..left.get(end).map_or(u64::MAX, |&(next, _)| next.into());
        self.measured = self.measured.end + start..self.measured.end + end;
        let functions = self.all.get_mut(self.measured.clone()).unwrap_or_default();
        for (len, index) in &mut *functions {
            let function = self.functions.get((*index).into());
            let (entries, runs) =
                function.map_or((0, 0), |function| self.functions.measure_inline_tree(&function));
            self.runs = self.runs.saturating_add(runs);
            if self.runs > MAX_RUNS {
                return Err(ErrorKind::Budget {
                    what: "runs of inline tree indexes",
                    count: self.runs,
                    limit: MAX_RUNS,
                });
            }
            *len = u32::try_from(entries).unwrap_or(u32::MAX);
        }
        functions.sort_unstable();
        Ok(())
    }
}
