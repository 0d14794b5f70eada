//! `STROBE_*`: how much room there is for requests under way, in the kernel and in the agent.
//!
//! Everything here is a bound on memory: what does not fit is not traced, and counted.

use super::env::Env;

/// `STROBE_MAX_IN_FLIGHT`: see [`Capacity::in_flight_entries`].
pub const MAX_IN_FLIGHT: &str = "STROBE_MAX_IN_FLIGHT";
/// `STROBE_RING_BYTES`: see [`Capacity::ring_bytes`].
pub const RING_BYTES: &str = "STROBE_RING_BYTES";
/// `STROBE_BEGUN_BYTES`: see [`Capacity::joiner_bytes`].
pub const BEGUN_BYTES: &str = "STROBE_BEGUN_BYTES";

/// Default of [`Capacity::in_flight_entries`].
pub const DEFAULT_IN_FLIGHT: u32 = 65_536;
/// Default of [`Capacity::ring_bytes`].
pub const DEFAULT_RING_BYTES: u32 = 4 << 20;
/// Default of [`Capacity::joiner_bytes`].
pub const DEFAULT_BEGUN_BYTES: usize = 64 << 20;

/// Sizes of what holds requests under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Requests of all processes together that may be under way at the same time: entries of a kernel map, whose memory is
    /// taken when strobe starts.
    pub in_flight_entries: u32,
    /// Bytes of the ring that records leave the kernel through: a power of two and at least a page, as the kernel wants it.
    pub ring_bytes: u32,
    /// Bytes that the agent keeps of requests that have begun and not ended.
    pub joiner_bytes: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            in_flight_entries: DEFAULT_IN_FLIGHT,
            ring_bytes: DEFAULT_RING_BYTES,
            joiner_bytes: DEFAULT_BEGUN_BYTES,
        }
    }
}

impl Capacity {
    pub(super) fn from_env(env: &mut Env<'_>) -> Self {
        let default = Self::default();
        let entries = |entries: &u32| (1_024..=1 << 20).contains(entries);
        let ring = |bytes: &u32| bytes.is_power_of_two() && (1 << 16..=1 << 28).contains(bytes);
        let begun = |bytes: &usize| (1 << 20..=1 << 32).contains(bytes);
        Self {
            in_flight_entries: env
                .number(MAX_IN_FLIGHT, entries, "a number of requests from 1024 to 1048576")
                .unwrap_or(default.in_flight_entries),
            ring_bytes: env
                .number(RING_BYTES, ring, "a power of two from 65536 to 268435456")
                .unwrap_or(default.ring_bytes),
            joiner_bytes: env
                .number(BEGUN_BYTES, begun, "a number of bytes from 1048576 to 4294967296")
                .unwrap_or(default.joiner_bytes),
        }
    }
}
