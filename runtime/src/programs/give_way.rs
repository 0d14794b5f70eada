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

/// Of a share, or the table, so many parts may be used; the last one is room for what begins meanwhile. Of what a process has, or all have, one part
/// gives way.
pub const PARTS: u64 = 8;
/// How long the table is left alone where nobody has half of what it may have, and where somebody has.
const REST: Duration = Duration::from_secs(2);
const SHORT_REST: Duration = Duration::from_millis(200);
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
    /// Looks how much each process has.
    Look(HashMap<u32, Has>),
    /// Removes what began no later, by process.
    Remove(HashMap<u32, u64>),
}

/// What a process has.
#[derive(Debug, Default)]
struct Has {
    /// Entries, whatever they are.
    all: u64,
    /// The beginnings of those that may give way.
    starts: Vec<u64>,
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

    /// Whether it has begun to look through the table, and not looked at all of it.
    pub fn is_under_way(&self) -> bool {
        self.bucket.is_some() || !matches!(&self.pass, Pass::Look(seen) if seen.is_empty())
    }

    /// Goes on by a slice, in a table with room for so many, of which so many are used.
    pub fn slice(
        &mut self,
        table: &RawMap<'_>,
        generations: &Generations,
        [entries, used]: [u64; 2],
    ) -> io::Result<()> {
        let most = entries / SHARES / PARTS * (PARTS - 1);
        if !self.is_under_way()
            && (used <= most || self.rests_until.is_some_and(|until| Instant::now() < until))
        {
            return Ok(());
        }
        let limit = u32::try_from((entries / SLICES).max(AT_LEAST_AT_ONCE)).unwrap_or(u32::MAX);
        let before = self.bucket;
        let slice = table.entries(&mut self.bucket, limit)?;
        let what = self.what;
        let its = |key: &[u8], value: &[u8]| {
            let (tgid, generation) = whose(key, value)?;
            let start =
                value.get(SPAN_START_AT..SPAN_START_AT + 8)?.try_into().ok().map(u64::from_ne_bytes)?;
            generations.is_live(tgid, generation).then_some((tgid, start, what.is(key, value)))
        };
        if let Pass::Look(seen) = &mut self.pass {
            for (tgid, start, may_go) in slice.iter().filter_map(|(key, value)| its(key, value)) {
                let has = seen.entry(tgid).or_default();
                has.all += 1;
                has.starts.extend(may_go.then_some(start));
            }
        }
        let is_due = |key: &[u8], value: &[u8]| match (&self.pass, its(key, value)) {
            (Pass::Remove(until), Some((tgid, start, true))) => {
                until.get(&tgid).is_some_and(|until| start <= *until).then_some(tgid)
            }
            _ => None,
        };
        let mut went = Vec::new();
        let result =
            slice.iter().filter(|(key, value)| is_due(key, value).is_some()).try_for_each(|(key, _)| {
                // A younger one may be there by now.
                let Some(value) = table.lookup(key)? else { return Ok(()) };
                let Some(tgid) = is_due(key, &value) else { return Ok(()) };
                if table.delete(key)? {
                    let counts =
                        |lost: NeverEnded| whose(key, &value).is_some_and(|(_, of)| lost.is(&value, of));
                    went.push((tgid, self.lost.is_none_or(counts)));
                }
                Ok(())
            });
        for (tgid, is_counted) in went {
            *self.given.entry(tgid).or_default() += 1;
            self.removed += 1;
            self.count += u64::from(is_counted);
            if !self.news.contains(&tgid) {
                self.news.push(tgid);
            }
        }
        if result.is_err() {
            // The rest of the slice is looked at again.
            self.bucket = before;
        } else if self.bucket.is_none() {
            self.turn(generations, [most, entries]);
        }
        result
    }

    /// The pass is over.
    fn turn(&mut self, generations: &Generations, [most, entries]: [u64; 2]) {
        self.pass = match std::mem::take(&mut self.pass) {
            Pass::Look(seen) => {
                let largest = seen.values().map(|has| has.all).max().unwrap_or(0);
                let next = oldest(seen, most, entries);
                let rest = if largest > most / 2 { SHORT_REST } else { REST };
                self.rests_until = matches!(next, Pass::Look(_)).then(|| Instant::now() + rest);
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

/// The oldest of whoever has more than `most` are to go, and where all together have more than seven eighths of the table, an eighth of it: of those who
/// have most, what they have more than others.
fn oldest(seen: HashMap<u32, Has>, most: u64, entries: u64) -> Pass {
    let all: u64 = seen.values().map(|has| has.all).sum();
    let level = if all > entries / PARTS * (PARTS - 1) { level(&seen, entries / PARTS) } else { u64::MAX };
    let mut until = HashMap::new();
    for (tgid, Has { all, mut starts }) in seen {
        let above = all.saturating_sub(level);
        let too_many = if all > most { above.max(all / PARTS) } else { above };
        let Some(last) =
            usize::try_from(too_many.min(starts.len() as u64)).unwrap_or(usize::MAX).checked_sub(1)
        else {
            continue;
        };
        until.insert(tgid, *starts.select_nth_unstable(last).1);
    }
    if until.is_empty() { Pass::default() } else { Pass::Remove(until) }
}

/// The level above which so many of what may give way lie.
fn level(seen: &HashMap<u32, Has>, wanted: u64) -> u64 {
    let above = |level: u64| -> u64 {
        seen.values().map(|has| has.all.saturating_sub(level).min(has.starts.len() as u64)).sum()
    };
    let (mut low, mut high) = (0, seen.values().map(|has| has.all).max().unwrap_or(0));
    // Nothing lies above `high`, or not enough.
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        *(if above(middle) >= wanted { &mut low } else { &mut high }) = middle;
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of each process go; it has `idle` entries that cannot.
    fn going(seen: &[(u32, u64)], idle: u64, most: u64, entries: u64) -> Vec<(u32, u64)> {
        let has = |(tgid, count): &(u32, u64)| {
            (*tgid, Has { all: count + idle, starts: (0..*count).rev().collect() })
        };
        match oldest(seen.iter().map(has).collect(), most, entries) {
            Pass::Look(_) => Vec::new(),
            Pass::Remove(until) => {
                let mut going: Vec<_> = until.into_iter().map(|(tgid, last)| (tgid, last + 1)).collect();
                going.sort_unstable();
                going
            }
        }
    }

    #[test]
    fn the_oldest_of_whoever_has_too_much() {
        assert_eq!(going(&[(7, 80), (8, 40)], 0, 40, 1_000), [(7, 10)]);
        assert_eq!(going(&[(7, 40), (8, 40)], 0, 40, 1_000), []);
        // What cannot go takes room all the same, and what is asked for is no more than there is.
        assert_eq!(going(&[(7, 80)], 20, 90, 1_000), [(7, 12)]);
        assert_eq!(going(&[(7, 2)], 100, 90, 1_000), [(7, 2)]);
        assert_eq!(going(&[(7, 0)], 100, 90, 1_000), []);
    }

    #[test]
    fn an_eighth_of_the_table_where_all_together_have_too_much() {
        // From the top: whoever has few keeps them.
        assert_eq!(going(&[(7, 32), (8, 24), (9, 18)], 0, 40, 80), [(7, 9), (8, 1)]);
        assert_eq!(going(&[(7, 32), (8, 32), (9, 8)], 0, 40, 80), [(7, 5), (8, 5)]);
        let many: Vec<(u32, u64)> = (0..100).map(|tgid| (tgid, 8)).collect();
        assert_eq!(going(&many, 0, 400, 880).len(), 100);
        assert_eq!(going(&[(7, 32), (8, 24), (9, 13)], 0, 40, 80), []);
        assert_eq!(going(&[], 0, 40, 0), []);
    }
}
