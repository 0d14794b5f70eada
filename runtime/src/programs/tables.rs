//! The tables that are swept: keys are two words, the second of which begins with the tgid; values begin with the generation.
//!
//! What a process has left that has ended takes room from all others. In a table of which no more than an eighth is used, that part which is
//! kept free for what begins meanwhile, it goes at leisure; else in haste: slice after slice, of which each is short, since whoever sweeps
//! has other things to do, too.

use std::{
    io,
    time::{Duration, Instant},
};

use aya::Ebpf;
use tracing::debug;

use super::error::ProgramsError;
use super::give_way::{GiveWay, PARTS};
use super::raw::{RawMap, is_full, is_passing, raw};
use super::sweep::{Generations, Sweep};
use crate::libraries::Flight;
use crate::records::Gone;

const GIVEN_WAY: &str = "GIVEN_WAY";
/// Bytes of a key.
pub const KEY_BYTES: usize = 16;
/// Entries of one table that a sweep looks at in one call.
const AT_ONCE: u32 = 1024;
/// Where it is in haste it looks at so many again and again, for about so long.
const LONGEST: Duration = Duration::from_millis(10);
/// Where nobody counts the entries, it is in haste as long as so many parts of what it looks at are to go: one of them.
const PART: u64 = 4;

/// One of them.
pub struct Table {
    map: &'static str,
    value_bytes: usize,
    sweep: Sweep,
    uses: Option<Uses>,
    /// Where the oldest entries give way.
    pub give_way: Option<GiveWay>,
    /// How often it could not be read to its end.
    pub read_again: u64,
    /// What is to go takes room that others need: it is to be swept again at once.
    pub is_in_haste: bool,
}

/// How many entries it has.
struct Uses {
    /// The map whose word 0 says how many programs have made, and whose word 1 takes how many were removed here.
    map: &'static str,
    /// How many it has room for.
    entries: u64,
}

impl Table {
    /// A library's, with room for so many.
    pub fn of(flight: &Flight, entries: u64) -> Self {
        let uses = Some(Uses { map: flight.use_map, entries });
        let give_way = GiveWay::of(flight);
        Self { uses, give_way, ..Self::of_nobody(flight.map, flight.value_bytes) }
    }

    /// One whose entries nobody counts.
    pub fn of_nobody(map: &'static str, value_bytes: usize) -> Self {
        Self {
            map,
            value_bytes,
            sweep: Sweep::default(),
            uses: None,
            give_way: None,
            read_again: 0,
            is_in_haste: false,
        }
    }

    /// A generation is over: its entries are to be removed.
    pub fn wake(&mut self) {
        self.sweep.wake();
    }

    /// Removes some of what is to go; gives how many entries.
    pub fn sweep(&mut self, ebpf: &Ebpf, generations: &Generations) -> Result<u64, ProgramsError> {
        let map = self.map;
        let failed = |source| ProgramsError::Element { action: "sweeping", map, source };
        let table = raw(ebpf, self.map, KEY_BYTES, self.value_bytes)?;
        let before = self.removed();
        let Some(uses) = &self.uses else {
            let result = self.remove_dead(&table, generations, None);
            return self.passing(result).map(|()| self.removed() - before).map_err(failed);
        };
        let entries = uses.entries;
        let counts = raw(ebpf, uses.map, 4, 8)?;
        let made = counts.lookup(&0u32.to_ne_bytes()).map_err(failed)?.unwrap_or_default();
        let made = made.first_chunk::<8>().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
        let is_crowded = made.saturating_sub(before) > entries / PARTS;
        let mut result = self.remove_dead(&table, generations, Some(is_crowded));
        let used = made.saturating_sub(self.removed());
        if let Some(give_way) = &mut self.give_way {
            let gave = give_way.slice(&table, generations, [entries, used]);
            self.is_in_haste |= gave.is_ok() && used > entries / 4 * 3 && give_way.is_under_way();
            result = result.and(gave);
            // Of what was removed the programs hear even where not all could be.
            for (tgid, given) in give_way.news() {
                let key = give_way.key(tgid).to_ne_bytes();
                // Where there are so many processes that it has no room, this one's share is used up.
                let told = raw(ebpf, GIVEN_WAY, 8, 8)?.update(&key, &given.to_ne_bytes());
                result = result.and(told.or_else(|error| if is_full(&error) { Ok(()) } else { Err(error) }));
            }
        }
        let removed = self.removed() - before;
        if removed > 0 {
            counts.update(&1u32.to_ne_bytes(), &self.removed().to_ne_bytes()).map_err(failed)?;
        }
        self.passing(result).map_err(failed)?;
        Ok(removed)
    }

    /// Removes some of what processes have left that have ended: a slice, or more where others need the room (`None`: it shows).
    fn remove_dead(
        &mut self,
        table: &RawMap<'_>,
        generations: &Generations,
        is_crowded: Option<bool>,
    ) -> io::Result<()> {
        let began = Instant::now();
        loop {
            self.is_in_haste = false;
            let before = self.sweep.removed;
            let seen = self.sweep.slice(table, generations, AT_ONCE)?;
            let went = self.sweep.removed - before;
            self.is_in_haste = self.sweep.is_due() && is_crowded.unwrap_or(went * PART > seen);
            if !self.is_in_haste || began.elapsed() > LONGEST {
                return Ok(());
            }
        }
    }

    /// What is gone and counted since this was asked last.
    pub fn gone(&mut self) -> Vec<Gone> {
        self.give_way.as_mut().map(GiveWay::gone).unwrap_or_default()
    }

    /// What may succeed the next time is no failure: what was to be done is still to be done then.
    fn passing(&mut self, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(error) if is_passing(&error) => {
                self.read_again += 1;
                debug!("{} could not be read to its end, it will be read again: {error}", self.map);
                Ok(())
            }
            result => result,
        }
    }

    fn removed(&self) -> u64 {
        self.sweep.removed + self.give_way.as_ref().map_or(0, |table| table.removed)
    }
}

/// The process is another program now, or none: what of it gave way counts no more.
pub fn forget(tables: &mut [Table], ebpf: &Ebpf, tgid: u32) -> Result<(), ProgramsError> {
    for give_way in tables.iter_mut().filter_map(|table| table.give_way.as_mut()) {
        give_way.forget(tgid);
        let deleted = raw(ebpf, GIVEN_WAY, 8, 8)?.delete(&give_way.key(tgid).to_ne_bytes());
        deleted.map_err(|source| ProgramsError::Element { action: "writing to", map: GIVEN_WAY, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_counted_and_no_failure() {
        let mut table = Table::of_nobody("CURRENT", 8);
        assert!(table.passing(Ok(())).is_ok() && table.read_again == 0);
        for number in [libc::EBUSY, libc::ENOMEM] {
            table.passing(Err(io::Error::from_raw_os_error(number))).expect("it passes");
        }
        assert_eq!(table.read_again, 2);
        assert!(table.passing(Err(io::Error::from_raw_os_error(libc::EBADF))).is_err());
    }
}
