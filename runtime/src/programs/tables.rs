//! The tables that are swept: keys are two words, the second of which begins with the tgid; values begin with the generation.

use aya::Ebpf;
use tracing::debug;

use super::error::ProgramsError;
use super::give_way::GiveWay;
use super::raw::{is_full, is_passing, raw};
use super::sweep::{Generations, Sweep};
use crate::libraries::Flight;
use crate::records::Gone;

const GIVEN_WAY: &str = "GIVEN_WAY";
/// Bytes of a key.
pub const KEY_BYTES: usize = 16;
/// Entries of one table that a sweep looks at in one call.
const AT_ONCE: u32 = 1024;

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
        Self { map, value_bytes, sweep: Sweep::default(), uses: None, give_way: None, read_again: 0 }
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
        let mut result = self.sweep.slice(&table, generations, AT_ONCE);
        let Some(uses) = &self.uses else {
            return self.passing(result).map(|()| self.removed() - before).map_err(failed);
        };
        let counts = raw(ebpf, uses.map, 4, 8)?;
        if let Some(give_way) = &mut self.give_way {
            let made = counts.lookup(&0u32.to_ne_bytes()).map_err(failed)?.unwrap_or_default();
            let made = made.first_chunk::<8>().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
            let used = made.saturating_sub(self.sweep.removed + give_way.removed);
            result = result.and(give_way.slice(&table, generations, [uses.entries, used]));
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

    /// What is gone and counted since this was asked last.
    pub fn gone(&mut self) -> Vec<Gone> {
        self.give_way.as_mut().map(GiveWay::gone).unwrap_or_default()
    }

    /// What may succeed the next time is no failure: what was to be done is still to be done then.
    fn passing(&mut self, result: std::io::Result<()>) -> std::io::Result<()> {
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
    use std::io;

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
