//! Spans that a program begins and never ends: the program forgets them, the table of open ones cannot, and a process has no more than its share
//! of it. Before that is used up, the oldest of its spans give way.
//!
//! Nobody waits for it, and nothing is removed while there is room: a span may be open for days. A program that still looks at an entry that is
//! removed finds by its seal that it is another's (`by_hand` of the eBPF programs).

use std::{
    collections::HashMap,
    io,
    time::{Duration, Instant},
};

use runtime_ebpf::abi::SHARES;

use super::raw::{Bucket, RawMap};
use super::sweep::{Generations, whose};
use crate::libraries::{Flight, NeverEnded};

/// Where an entry has the time of its beginning: behind generation, state and the goroutine's id (`in_flight::Span`).
const START_AT: usize = 16;
/// How much of a process's share may be in use before, in quarters.
const MOST_QUARTERS: u64 = 3;
/// Of what a process has, one in so many gives way at once.
const PART: usize = 4;
/// How long the table is left alone where everybody has less than that.
const REST: Duration = Duration::from_secs(5);

/// One table's.
pub struct GiveWay {
    /// What of it counts.
    lost: NeverEnded,
    /// Where it is counted.
    pub counter: &'static str,
    /// How much that is.
    pub count: u64,
    pass: Pass,
    bucket: Bucket,
    rests_until: Option<Instant>,
    /// Entries that were removed, by process.
    given: HashMap<u32, u64>,
    /// The same over all processes there ever were.
    pub removed: u64,
}

/// What it is doing.
#[derive(Debug)]
enum Pass {
    /// Looks how much each process has: the beginnings of its spans.
    Look(HashMap<u32, Vec<u64>>),
    /// Removes what began no later, by process.
    Remove(HashMap<u32, u64>),
}

impl Default for Pass {
    fn default() -> Self {
        Self::Look(HashMap::new())
    }
}

impl GiveWay {
    /// The table's, if anything gives way there.
    pub fn of(flight: &Flight) -> Option<Self> {
        let lost = flight.lost?;
        Some(Self {
            lost,
            counter: lost.gave_way?,
            count: 0,
            pass: Pass::default(),
            bucket: None,
            rests_until: None,
            given: HashMap::new(),
            removed: 0,
        })
    }

    /// The process is another program now, or none.
    pub fn forget(&mut self, tgid: u32) {
        self.given.remove(&tgid);
    }

    /// Goes on by a slice, in a table with room for so many, of which so many are used; gives the processes of which something was
    /// removed, with all that they have given up.
    pub fn slice(
        &mut self,
        table: &RawMap<'_>,
        generations: &Generations,
        [entries, used]: [u64; 2],
        limit: u32,
    ) -> io::Result<Vec<(u32, u64)>> {
        let most = entries / SHARES / 4 * MOST_QUARTERS;
        let is_idle = self.bucket.is_none() && matches!(&self.pass, Pass::Look(seen) if seen.is_empty());
        if is_idle && (used <= most || self.rests_until.is_some_and(|until| Instant::now() < until)) {
            return Ok(Vec::new());
        }
        let slice = table.entries(&mut self.bucket, limit)?;
        let its = |key: &[u8], value: &[u8]| {
            let (tgid, generation) = whose(key, value)?;
            let start = value.get(START_AT..START_AT + 8)?.try_into().ok().map(u64::from_ne_bytes)?;
            generations.is_live(tgid, generation).then_some((tgid, start))
        };
        let mut given = HashMap::new();
        match &mut self.pass {
            Pass::Look(seen) => {
                for (tgid, start) in slice.iter().filter_map(|(key, value)| its(key, value)) {
                    seen.entry(tgid).or_default().push(start);
                }
            }
            Pass::Remove(until) => {
                for (key, value) in slice.iter() {
                    let is_due = |value: &[u8]| {
                        its(key, value)
                            .filter(|(tgid, start)| until.get(tgid).is_some_and(|until| start <= until))
                    };
                    // A younger one may be there by now.
                    let Some((tgid, _)) = is_due(value) else { continue };
                    if table.lookup(key)?.is_some_and(|value| is_due(&value).is_some())
                        && table.delete(key)?
                    {
                        let all = self.given.entry(tgid).or_default();
                        *all += 1;
                        given.insert(tgid, *all);
                        self.removed += 1;
                        let is_lost = whose(key, value).is_some_and(|(_, of)| self.lost.is(value, of));
                        self.count += u64::from(is_lost);
                    }
                }
            }
        }
        if self.bucket.is_none() {
            self.pass = match std::mem::take(&mut self.pass) {
                Pass::Look(seen) => {
                    let next = oldest(seen, most);
                    let is_nothing = matches!(next, Pass::Look(_));
                    self.rests_until = is_nothing.then(|| Instant::now() + REST);
                    next
                }
                Pass::Remove(_) => Pass::default(),
            };
        }
        Ok(given.into_iter().collect())
    }
}

/// The oldest of whoever has more than that are to go.
fn oldest(seen: HashMap<u32, Vec<u64>>, most: u64) -> Pass {
    let too_many =
        seen.into_iter().filter(|(_, starts)| u64::try_from(starts.len()).is_ok_and(|len| len > most));
    let until: HashMap<u32, u64> = too_many
        .map(|(tgid, mut starts)| {
            let last = starts.len() / PART;
            (tgid, *starts.select_nth_unstable(last).1)
        })
        .collect();
    if until.is_empty() { Pass::default() } else { Pass::Remove(until) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_quarter_of_whoever_has_too_many() {
        let seen = HashMap::from([(7, (0..100).rev().collect()), (8, vec![1; 40])]);
        let Pass::Remove(until) = oldest(seen, 40) else { panic!("something has to go") };
        assert_eq!(until, HashMap::from([(7, 25)]));
        assert!(matches!(oldest(HashMap::from([(7, vec![1; 40])]), 40), Pass::Look(seen) if seen.is_empty()));
    }
}
