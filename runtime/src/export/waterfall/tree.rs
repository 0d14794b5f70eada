//! The spans of one trace as a tree: in which order they are drawn, and what stands in front of each name.
//!
//! ```text
//! POST /orders                 its own parent is in no line of this block
//! ├ SELECT books
//! ├ take the payment
//! │ └ bank.Bank/Charge
//! └ POST
//! ```

use std::collections::HashMap;

use super::Row;

/// Columns of one level.
const LEVEL: usize = 2;

/// A row's place.
#[derive(Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The row.
    pub row: &'a Row,
    /// What leads to its name.
    pub branch: String,
}

/// Whether something above the tree has to be said: another service's span, or one that is in no line here, is above a row of it.
pub fn hangs(rows: &[Row]) -> Option<&Row> {
    let ids: Vec<[u8; 8]> = rows.iter().map(|row| row.span_id).collect();
    rows.iter().find(|row| row.parent.is_some_and(|parent| !ids.contains(&parent)))
}

/// The rows of one trace, which are in the order of their starts, each behind its parent; those that are nobody's child here have a branch
/// only if the trace `hangs` on something. No branch is wider than this.
pub fn places(rows: &[Row], hangs: bool, widest: usize) -> Vec<Place<'_>> {
    let by_id: HashMap<[u8; 8], usize> =
        rows.iter().enumerate().map(|(nth, row)| (row.span_id, nth)).collect();
    let mut below: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (nth, row) in rows.iter().enumerate() {
        let parent = row.parent.and_then(|id| by_id.get(&id).copied()).filter(|parent| *parent != nth);
        below.entry(parent).or_default().push(nth);
    }
    let mut walk = Walk { rows, below, widest, placed: Vec::with_capacity(rows.len()) };
    walk.children(None, "", !hangs);
    // Spans that are one another's parents, which nobody makes, are below no other.
    while let Some(nth) = walk.below.keys().flatten().min().copied() {
        walk.children(Some(nth), "", true);
    }
    walk.placed
}

struct Walk<'a> {
    rows: &'a [Row],
    /// By parent, what is not placed yet.
    below: HashMap<Option<usize>, Vec<usize>>,
    widest: usize,
    placed: Vec<Place<'a>>,
}

impl Walk<'_> {
    /// Places the children of one; `lead`: what stands in front of their branches, which those without a parent may have none of.
    ///
    /// It calls itself as often as a block's longest chain of spans, which has no more rows than a block.
    fn children(&mut self, of: Option<usize>, lead: &str, bare: bool) {
        let children = self.below.remove(&of).unwrap_or_default();
        for (nth, child) in children.iter().enumerate() {
            let Some(row) = self.rows.get(*child) else { continue };
            let (branch, further) = match (bare, nth + 1 == children.len()) {
                (true, _) => ("", ""),
                (false, false) => ("├ ", "│ "),
                (false, true) => ("└ ", "  "),
            };
            self.placed.push(Place { row, branch: cut(lead, branch, self.widest) });
            self.children(Some(*child), &format!("{lead}{further}"), false);
        }
    }
}

/// The last levels of a branch that would leave no room for the name.
fn cut(lead: &str, branch: &str, widest: usize) -> String {
    let levels = (lead.chars().count() + branch.chars().count()) / LEVEL;
    let surplus = levels.saturating_sub((widest / LEVEL).max(1));
    lead.chars().skip(surplus * LEVEL).chain(branch.chars()).collect()
}

#[cfg(test)]
mod tests;
