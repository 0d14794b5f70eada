//! Removes what processes that have ended, or are another program now, have left in the in-flight tables.
//!
//! Nobody waits for it: an entry of a generation that is not the process's is as good as none. So it goes through a table a
//! bounded slice at a time. The kernel gives a removed entry's memory to the next one at once; that a program still writes to
//! it is ruled out by leaving a generation alone for a while after it has ended, unless its process has, too: then no thread is
//! left that a program could run on. Nothing that such a process has left is needed any more: its records lead nowhere into the
//! tables, and what it leaves open is counted (`open`) when it is forgotten, before anything is swept.

use std::{
    collections::{HashMap, VecDeque},
    io,
    time::{Duration, Instant},
};

use super::raw::{Bucket, RawMap};

/// How long a generation's entries are left alone after its end: programs run for microseconds.
const GRACE: Duration = Duration::from_secs(1);

/// Which generations are alive, or ended only just now in processes that go on.
#[derive(Debug, Default)]
pub struct Generations {
    live: HashMap<u32, u32>,
    ended: VecDeque<(Instant, u32, u32)>,
    /// A process has ended since [`Generations::forget_old`] was called last.
    has_news: bool,
}

impl Generations {
    /// The process has this generation from now on.
    pub fn begin(&mut self, tgid: u32, generation: u32, now: Instant) {
        if let Some(before) = self.live.insert(tgid, generation) {
            self.ended.push_back((now, tgid, before));
        }
    }

    /// The process is not traced any more, since it has ended or goes on without; gives the generation that it had.
    pub fn end(&mut self, tgid: u32, now: Instant, has_ended: bool) -> Option<u32> {
        let before = self.live.remove(&tgid)?;
        if has_ended {
            self.ended.retain(|(_, of, _)| *of != tgid);
            self.has_news = true;
        } else {
            self.ended.push_back((now, tgid, before));
        }
        Some(before)
    }

    /// Whether there is something to remove that nobody was told of yet.
    pub fn has_news(&self) -> bool {
        self.has_news
    }

    /// The generation that the process has now.
    pub fn of(&self, tgid: u32) -> Option<u32> {
        self.live.get(&tgid).copied()
    }

    /// Whether the process has this generation now.
    pub fn is_live(&self, tgid: u32, generation: u32) -> bool {
        self.live.get(&tgid) == Some(&generation)
    }

    /// Whether nobody can use an entry of this generation any more.
    fn is_over(&self, tgid: u32, generation: u32) -> bool {
        !self.is_live(tgid, generation) && !self.ended.iter().any(|(_, t, g)| (*t, *g) == (tgid, generation))
    }

    /// Whether some are over since the last call: those that had ended only just now, and those of processes that have ended.
    pub fn forget_old(&mut self, now: Instant) -> bool {
        let before = self.ended.len();
        while self.ended.front().is_some_and(|(at, ..)| now.duration_since(*at) > GRACE) {
            self.ended.pop_front();
        }
        std::mem::take(&mut self.has_news) || self.ended.len() < before
    }
}

/// Where a table's sweep has come to.
#[derive(Debug, Default)]
pub struct Sweep {
    bucket: Bucket,
    /// There may be something to remove. An empty table costs a step through all of its buckets, so that nobody looks at it for
    /// nothing.
    is_due: bool,
    /// The same of what the pass under way has gone by already.
    again: bool,
    /// All that were ever removed.
    pub removed: u64,
}

impl Sweep {
    /// A generation is over: its entries are to be removed.
    pub fn wake(&mut self) {
        self.again = self.is_due;
        self.is_due = true;
    }

    /// Whether there may be something to remove.
    pub fn is_due(&self) -> bool {
        self.is_due
    }

    /// Looks at up to `limit` entries from where the last slice ended, and removes what is over; gives at how many it has looked.
    pub fn slice(&mut self, table: &RawMap<'_>, generations: &Generations, limit: u32) -> io::Result<u64> {
        if !self.is_due {
            return Ok(0);
        }
        let before = self.bucket;
        let entries = table.entries(&mut self.bucket, limit)?;
        let swept = entries.iter().try_for_each(|(key, value)| {
            let is_over =
                |value: &[u8]| whose(key, value).is_some_and(|(tgid, of)| generations.is_over(tgid, of));
            // Somebody may have another one there by now.
            if is_over(value)
                && table.lookup(key)?.is_some_and(|value| is_over(&value))
                && table.delete(key)?
            {
                self.removed += 1;
            }
            Ok(())
        });
        if swept.is_err() {
            // The rest of the slice is looked at again.
            self.bucket = before;
        } else if self.bucket.is_none() {
            self.is_due = std::mem::take(&mut self.again);
        }
        swept.map(|()| entries.iter().count() as u64)
    }
}

/// The process of a key of goroutine and tgid, two words.
pub fn tgid_of(key: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(key.get(8..12)?.try_into().ok()?))
}

/// The same and the generation, by which values begin (`libraries::Flight`).
pub fn whose(key: &[u8], value: &[u8]) -> Option<(u32, u32)> {
    Some((tgid_of(key)?, u32::from_ne_bytes(*value.first_chunk::<4>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_over_a_while_after_another_or_none_has_followed() {
        let (mut generations, start) = (Generations::default(), Instant::now());
        generations.begin(7, 1, start);
        assert!(!generations.is_over(7, 1) && generations.is_over(8, 1) && generations.is_over(7, 2));
        generations.begin(7, 2, start);
        assert!(!generations.is_over(7, 1) && !generations.is_over(7, 2));
        assert_eq!(generations.end(7, start + GRACE / 2, false), Some(2));
        generations.forget_old(start + GRACE * 5 / 4);
        assert!(generations.is_over(7, 1) && !generations.is_over(7, 2));
        generations.forget_old(start + GRACE * 2);
        assert!(generations.is_over(7, 2));
    }

    #[test]
    fn what_a_process_has_left_that_has_ended_is_over_at_once() {
        let (mut generations, start) = (Generations::default(), Instant::now());
        generations.begin(7, 1, start);
        generations.begin(7, 2, start);
        generations.begin(8, 3, start);
        assert_eq!(generations.end(7, start, true), Some(2));
        assert!(generations.is_over(7, 1) && generations.is_over(7, 2) && !generations.is_over(8, 3));
        assert!(generations.forget_old(start) && !generations.forget_old(start));
    }
}
