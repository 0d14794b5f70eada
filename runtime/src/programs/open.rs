//! What a process that has ended leaves open in the in-flight tables, where the agent knows of no beginning: it is lost, and counted.

use std::io;

use aya::Ebpf;

use super::error::ProgramsError;
use super::raw::{RawMap, is_passing, raw};
use super::sweep::tgid_of;
use super::tables::KEY_BYTES;
use crate::libraries::{Flight, NeverEnded};

/// Entries that are looked at in one call.
const AT_ONCE: u32 = 4096;
/// How often it is tried again where the kernel could not be read just then.
const MOST_FAILURES: u32 = 8;

/// A table of which something is lost when a process ends.
pub struct Open {
    /// The table.
    pub flight: Flight,
    /// What of it counts.
    pub lost: NeverEnded,
    /// How much has been lost.
    pub count: u64,
}

impl Open {
    /// The table, if anything of it is.
    pub fn of(flight: &Flight) -> Option<Self> {
        Some(Self { flight: *flight, lost: flight.lost?, count: 0 })
    }

    fn count(&mut self, table: &RawMap<'_>, tgid: u32, generation: u32) -> io::Result<()> {
        let (mut bucket, mut failures) = (None, 0);
        loop {
            let entries = match table.entries(&mut bucket, AT_ONCE) {
                Err(error) if is_passing(&error) && failures < MOST_FAILURES => {
                    failures += 1;
                    continue;
                }
                entries => entries?,
            };
            let its = entries.iter().filter(|(key, _)| tgid_of(key) == Some(tgid));
            let open = its.filter(|(_, entry)| self.lost.is(entry, generation)).count();
            self.count += u64::try_from(open).unwrap_or(u64::MAX);
            if bucket.is_none() {
                return Ok(());
            }
        }
    }
}

/// Counts what a process leaves in all of them.
pub fn count(all: &mut [Open], ebpf: &Ebpf, tgid: u32, generation: u32) -> Result<(), ProgramsError> {
    for open in all {
        let map = open.flight.map;
        let table = raw(ebpf, map, KEY_BYTES, open.flight.value_bytes)?;
        let counted = open.count(&table, tgid, generation);
        counted.map_err(|source| ProgramsError::Element { action: "reading", map, source })?;
    }
    Ok(())
}
