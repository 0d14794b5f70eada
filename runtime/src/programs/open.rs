//! What a process that has ended leaves open in the in-flight tables, where the agent knows of no beginning: it is lost, and counted.

use std::{collections::HashSet, io};

use aya::Ebpf;

use super::error::ProgramsError;
use super::raw::{RawMap, raw};
use crate::libraries::{Flight, LostAtExit};

/// Steps through a table when a process ends: as many as the largest has entries.
const MOST_STEPS: usize = 1 << 20;

/// A table of which something is lost when a process ends.
pub struct Open {
    /// The table.
    pub flight: Flight,
    /// What of it counts.
    pub lost: LostAtExit,
    /// How much has been lost.
    pub count: u64,
}

impl Open {
    /// The table, if anything of it is.
    pub fn of(flight: &Flight) -> Option<Self> {
        Some(Self { flight: *flight, lost: flight.lost?, count: 0 })
    }

    fn count(&mut self, table: &RawMap<'_>, tgid: u32, generation: u32) -> io::Result<()> {
        let (mut last, mut seen): (Option<Vec<u8>>, HashSet<Vec<u8>>) = (None, HashSet::new());
        // From a key that another process removes meanwhile the kernel begins anew.
        for _ in 0..MOST_STEPS {
            let Some(key) = table.next_key(last.as_deref())? else { break };
            let is_its = key.get(8..12) == Some(&tgid.to_ne_bytes());
            if is_its && seen.insert(key.clone()) {
                let entry = table.lookup(&key)?;
                self.count += u64::from(entry.is_some_and(|entry| self.lost.is(&entry, generation)));
            }
            last = Some(key);
        }
        Ok(())
    }
}

/// Counts what a process leaves in all of them.
pub fn count(all: &mut [Open], ebpf: &Ebpf, tgid: u32, generation: u32) -> Result<(), ProgramsError> {
    for open in all {
        let map = open.flight.map;
        let table = raw(ebpf, map, 16, open.flight.value_bytes)?;
        let counted = open.count(&table, tgid, generation);
        counted.map_err(|source| ProgramsError::Element { action: "reading", map, source })?;
    }
    Ok(())
}
