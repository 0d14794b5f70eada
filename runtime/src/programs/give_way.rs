//! What a program begins and never ends: it forgets it, a table in the kernel cannot, and a process has no more than its share of that. Before the
//! share is used up, or the whole table, the oldest entries give way: an eighth of what the process has.
//!
//! A program that still looks at an entry that is removed finds that it is another's: by its seal (`by_hand` of the eBPF programs), or because
//! what it would send is sent by whoever removes it (`grpc_client::end`).

use std::{
    collections::HashMap,
    io,
    time::{Duration, Instant},
};

use runtime_ebpf::abi::{SHARES, SPAN_START_AT};

use super::raw::{Bucket, RawMap};
use super::sweep::{Generations, whose};
use crate::libraries::{Flight, GivesWay, NeverEnded};
use crate::records::Gone;

/// Of a share, or the table, so many parts may be used; the last one is room for what begins meanwhile. Of what a process has, one part gives way.
const PARTS: u64 = 8;
/// How long the table is left alone where nobody has more than that.
const REST: Duration = Duration::from_secs(2);
/// Entries that are looked at in one call: at least so many, and a part of the table.
const AT_LEAST_AT_ONCE: u64 = 1024;
const SLICES: u64 = 4;

/// One table's.
pub struct GiveWay {
    what: GivesWay,
    /// What of it counts, where not all does.
    lost: Option<NeverEnded>,
    /// How much that is.
    pub count: u64,
    pass: Pass,
    bucket: Bucket,
    rests_until: Option<Instant>,
    /// Entries that were removed, by process.
    given: HashMap<u32, u64>,
    /// Processes of which more was since that was asked last.
    news: Vec<u32>,
    /// The same over all processes there ever were.
    pub removed: u64,
    gone: Vec<Gone>,
}

/// What it is doing.
#[derive(Debug)]
enum Pass {
    /// Looks how much each process has: the beginnings of its entries.
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
        let what = flight.gives_way?;
        Some(Self {
            what,
            lost: flight.lost.filter(|_| what.is_loss),
            count: 0,
            pass: Pass::default(),
            bucket: None,
            rests_until: None,
            given: HashMap::new(),
            news: Vec::new(),
            removed: 0,
            gone: Vec::new(),
        })
    }

    /// Where it is counted, and whether that is a loss.
    pub fn counter(&self) -> (&'static str, bool) {
        (self.what.counter, self.what.is_loss)
    }

    /// Where the programs look up how much of the process was removed.
    pub fn key(&self, tgid: u32) -> u64 {
        u64::from(tgid) | (self.what.table as u64) << 32
    }

    /// The process is another program now, or none.
    pub fn forget(&mut self, tgid: u32) {
        self.given.remove(&tgid);
    }

    /// Processes of which more was removed since this was asked last, with all that was.
    pub fn news(&mut self) -> Vec<(u32, u64)> {
        let news = std::mem::take(&mut self.news);
        news.into_iter().filter_map(|tgid| Some((tgid, *self.given.get(&tgid)?))).collect()
    }

    /// What is gone and counted since this was asked last.
    pub fn gone(&mut self) -> Vec<Gone> {
        std::mem::take(&mut self.gone)
    }

    /// Goes on by a slice, in a table with room for so many, of which so many are used.
    pub fn slice(
        &mut self,
        table: &RawMap<'_>,
        generations: &Generations,
        [entries, used]: [u64; 2],
    ) -> io::Result<()> {
        let most = entries / SHARES / PARTS * (PARTS - 1);
        let is_idle = self.bucket.is_none() && matches!(&self.pass, Pass::Look(seen) if seen.is_empty());
        if is_idle && (used <= most || self.rests_until.is_some_and(|until| Instant::now() < until)) {
            return Ok(());
        }
        let limit = u32::try_from((entries / SLICES).max(AT_LEAST_AT_ONCE)).unwrap_or(u32::MAX);
        let slice = table.entries(&mut self.bucket, limit)?;
        let what = self.what;
        let its = |key: &[u8], value: &[u8]| {
            let (tgid, generation) = whose(key, value)?;
            let start =
                value.get(SPAN_START_AT..SPAN_START_AT + 8)?.try_into().ok().map(u64::from_ne_bytes)?;
            (generations.is_live(tgid, generation) && what.is(value)).then_some((tgid, start))
        };
        match &mut self.pass {
            Pass::Look(seen) => {
                for (tgid, start) in slice.iter().filter_map(|(key, value)| its(key, value)) {
                    seen.entry(tgid).or_default().push(start);
                }
            }
            Pass::Remove(until) => {
                let is_due = |(tgid, start): &(u32, u64)| until.get(tgid).is_some_and(|until| start <= until);
                for (key, _) in
                    slice.iter().filter(|(key, value)| its(key, value).is_some_and(|it| is_due(&it)))
                {
                    // A younger one may be there by now.
                    let Some(value) = table.lookup(key)? else { continue };
                    let Some((tgid, _)) = its(key, &value).filter(is_due) else { continue };
                    if !table.delete(key)? {
                        continue;
                    }
                    *self.given.entry(tgid).or_default() += 1;
                    self.removed += 1;
                    if !self.news.contains(&tgid) {
                        self.news.push(tgid);
                    }
                    let counts =
                        |lost: NeverEnded| whose(key, &value).is_some_and(|(_, of)| lost.is(&value, of));
                    self.count += u64::from(self.lost.is_none_or(counts));
                }
            }
        }
        if self.bucket.is_none() {
            self.turn(generations, most, entries / PARTS * (PARTS - 1));
        }
        Ok(())
    }

    /// The pass is over.
    fn turn(&mut self, generations: &Generations, most: u64, most_of_all: u64) {
        self.pass = match std::mem::take(&mut self.pass) {
            Pass::Look(seen) => {
                let next = oldest(seen, most, most_of_all);
                let is_nothing = matches!(next, Pass::Look(_));
                self.rests_until = is_nothing.then(|| Instant::now() + REST);
                next
            }
            Pass::Remove(until) => {
                let gone = until.into_iter().filter_map(|(tgid, until_ns)| {
                    Some(Gone { tgid, generation: generations.of(tgid)?, until_ns })
                });
                self.gone.extend(gone.filter(|_| self.what.is_loss));
                Pass::default()
            }
        };
    }
}

/// The oldest of whoever has more than `most` are to go, and where all together have too much, those of whoever has most.
fn oldest(seen: HashMap<u32, Vec<u64>>, most: u64, most_of_all: u64) -> Pass {
    let len = |starts: &Vec<u64>| starts.len() as u64;
    let all: u64 = seen.values().map(len).sum();
    let largest = seen.values().map(len).max().unwrap_or(0);
    let limit = if all > most_of_all { most.min(largest.saturating_sub(1)) } else { most };
    let until: HashMap<u32, u64> = seen
        .into_iter()
        .filter(|(_, starts)| len(starts) > limit)
        .map(|(tgid, mut starts)| {
            let last = starts.len() / PARTS as usize;
            (tgid, *starts.select_nth_unstable(last).1)
        })
        .collect();
    if until.is_empty() { Pass::default() } else { Pass::Remove(until) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn going(seen: &[(u32, u64)], most: u64, most_of_all: u64) -> Vec<(u32, u64)> {
        let starts = |(tgid, count): &(u32, u64)| (*tgid, (0..*count).rev().collect());
        match oldest(seen.iter().map(starts).collect(), most, most_of_all) {
            Pass::Look(_) => Vec::new(),
            Pass::Remove(until) => {
                let mut until: Vec<_> = until.into_iter().collect();
                until.sort_unstable();
                until
            }
        }
    }

    #[test]
    fn the_oldest_of_whoever_has_too_much() {
        assert_eq!(going(&[(7, 80), (8, 40)], 40, 1_000), [(7, 10)]);
        assert_eq!(going(&[(7, 40), (8, 40)], 40, 1_000), []);
        // Nobody has, but all together: those of whoever has most, of several if they have as much.
        assert_eq!(going(&[(7, 32), (8, 24), (9, 24)], 40, 79), [(7, 4)]);
        assert_eq!(going(&[(7, 32), (8, 32), (9, 8)], 40, 71), [(7, 4), (8, 4)]);
        assert_eq!(going(&[], 40, 0), []);
    }
}
