//! The two rings of records, as drain empties them: that of all libraries, and the one of records that may be large.

use std::os::fd::{AsFd as _, BorrowedFd};

use aya::maps::{MapData, RingBuf};
use tracing::warn;

use super::error::ProgramsError;
use super::raw::RawMap;
use crate::drain::RecordRing;

/// What the programs have woken the agent for, by the ring's number.
pub(super) const WAKE: &str = "WAKE";

/// The least that the ring of large records has: four of 64 KiB find no room in a smaller one.
const LEAST_LARGE_BYTES: u32 = 256 << 10;

/// How long the ring of large records is, by the other one's size: half of it. Both are powers of two.
pub(super) fn large_bytes(ring_bytes: u32) -> u32 {
    (ring_bytes / 2).max(LEAST_LARGE_BYTES)
}

/// Lets the programs wake the agent again. They do so when a ring crosses half of its size, once until this is called.
pub struct Wake(pub(super) MapData);

impl Wake {
    /// Called when the rings have been emptied, before their reader waits.
    fn rearm(&self) -> Result<(), ProgramsError> {
        let map = RawMap { map: &self.0, key_bytes: 4, value_bytes: 8 };
        for ring in [0u32, 1] {
            let written = map.update(&ring.to_ne_bytes(), &0u64.to_ne_bytes());
            written.map_err(|source| ProgramsError::Element { action: "writing to", map: WAKE, source })?;
        }
        Ok(())
    }
}

/// Both.
pub struct Rings {
    /// The one of all libraries, then the other.
    pub(super) rings: [RingBuf<MapData>; 2],
    pub(super) wake: Wake,
    /// Bytes of the larger one.
    pub(super) bytes: usize,
    /// Which of them it is the turn of, and how many bytes it has had more than the other.
    turn: usize,
    ahead: usize,
}

impl Rings {
    pub(super) fn new(rings: [RingBuf<MapData>; 2], wake: Wake, bytes: usize) -> Self {
        Self { rings, wake, bytes, turn: 0, ahead: 0 }
    }

    /// Takes the next record of a ring; how long it was.
    fn take(&mut self, ring: usize, take: &mut dyn FnMut(&[u8])) -> Option<usize> {
        let item = self.rings.get_mut(ring)?.next()?;
        take(&item);
        Some(item.len())
    }
}

impl RecordRing for Rings {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.rings.iter().map(|ring| ring.as_fd()).collect()
    }

    fn rearm(&mut self) {
        if let Err(error) = self.wake.rearm() {
            warn!("{error}; the rings are looked at on the clock");
        }
    }

    /// While both have records, each has its turn until it is ahead in bytes: nothing in one waits for all that comes into the other.
    fn next(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        if let Some(len) = self.take(self.turn, take) {
            self.ahead += len;
            if self.ahead > RECORD_BYTES {
                (self.turn, self.ahead) = (1 - self.turn, 0);
            }
            return true;
        }
        (self.turn, self.ahead) = (1 - self.turn, 0);
        match self.take(self.turn, take) {
            Some(len) => {
                self.ahead = len;
                true
            }
            None => false,
        }
    }

    /// What either holds has been taken when so many bytes of both were.
    fn capacity(&self) -> usize {
        2 * (self.bytes + 2 * RECORD_BYTES)
    }
}

/// More than a record has.
const RECORD_BYTES: usize = 128 << 10;
