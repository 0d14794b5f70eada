//! From the kernel's CLOCK_MONOTONIC (`bpf_ktime_get_ns`) to time since 1970.
//!
//! The offset between the two clocks is measured, and measured again now and then: NTP slews the wall clock, and an
//! administrator may step it. Both timestamps of a span use one offset, so that a step never changes a duration.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// How long an offset is used before it is measured again.
pub const REFRESH: Duration = Duration::from_secs(10);
/// How often the clocks are read for one measurement; the tightest pair counts.
const ATTEMPTS: usize = 3;

/// The offset from CLOCK_MONOTONIC to CLOCK_REALTIME.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    offset_ns: i128,
    measured_ns: u64,
}

impl Clock {
    /// Measures the offset.
    pub fn measure() -> nix::Result<Self> {
        let mut best: Option<(u64, Self)> = None;
        for _ in 0..ATTEMPTS {
            let before = now_ns(ClockId::CLOCK_MONOTONIC)?;
            let wall = now_ns(ClockId::CLOCK_REALTIME)?;
            let after = now_ns(ClockId::CLOCK_MONOTONIC)?;
            let gap = after.saturating_sub(before);
            let middle = before + gap / 2;
            let clock = Self { offset_ns: i128::from(wall) - i128::from(middle), measured_ns: after };
            if best.is_none_or(|(least, _)| gap < least) {
                best = Some((gap, clock));
            }
        }
        best.map(|(_, clock)| clock).ok_or(nix::Error::EINVAL)
    }

    /// A clock with a known offset, for tests.
    pub fn with_offset_ns(offset_ns: i64) -> Self {
        Self { offset_ns: i128::from(offset_ns), measured_ns: 0 }
    }

    /// Measures again if the offset is older than [`REFRESH`]; on failure the old one stays. Cheap: one vDSO call.
    pub fn refresh(&mut self) {
        let Ok(now) = now_ns(ClockId::CLOCK_MONOTONIC) else { return };
        if u128::from(now.saturating_sub(self.measured_ns)) >= REFRESH.as_nanos()
            && let Ok(fresh) = Self::measure()
        {
            *self = fresh;
        }
    }

    /// Nanoseconds since 1970 of a CLOCK_MONOTONIC time.
    pub fn unix_ns(&self, monotonic_ns: u64) -> u64 {
        let unix = (i128::from(monotonic_ns) + self.offset_ns).clamp(0, i128::from(u64::MAX));
        u64::try_from(unix).unwrap_or(0)
    }
}

fn now_ns(id: ClockId) -> nix::Result<u64> {
    let time = clock_gettime(id)?;
    let seconds = u64::try_from(time.tv_sec()).map_err(|_| nix::Error::EINVAL)?;
    let nanos = u64::try_from(time.tv_nsec()).map_err(|_| nix::Error::EINVAL)?;
    Ok(seconds * 1_000_000_000 + nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_now_to_now() {
        let mut clock = Clock::measure().expect("clocks");
        clock.refresh();
        let monotonic = now_ns(ClockId::CLOCK_MONOTONIC).expect("monotonic");
        let wall = now_ns(ClockId::CLOCK_REALTIME).expect("wall");
        assert!(wall.abs_diff(clock.unix_ns(monotonic)) < 50_000_000);
    }

    #[test]
    fn clamps_absurd_times() {
        assert_eq!(Clock::with_offset_ns(-5).unix_ns(3), 0);
        assert_eq!(Clock::with_offset_ns(5).unix_ns(u64::MAX), u64::MAX);
        assert_eq!(Clock::with_offset_ns(5).unix_ns(3), 8);
    }
}
