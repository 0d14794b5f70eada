//! Tries after a passing failure.

use std::time::Duration;

use super::event::Moment;

/// How often a passing failure is met by another try.
pub const TRIES: u32 = 8;

/// Tries after a passing failure: further apart each time, and not for ever.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backoff {
    tries: u32,
    pub(super) due: Option<Moment>,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(250);
    pub(super) const LONGEST: Duration = Duration::from_secs(30);

    /// Another try is due after a while; false: there have been enough.
    pub(super) fn again(&mut self, now: Moment) -> bool {
        if self.tries >= TRIES {
            return false;
        }
        let pause = Self::FIRST.saturating_mul(1 << self.tries.min(TRIES)).min(Self::LONGEST);
        self.tries += 1;
        self.due = Some(now + pause);
        true
    }

    /// Is its time there? Then it waits no longer.
    pub(super) fn wake(&mut self, now: Moment) -> bool {
        let is_due = self.due.is_some_and(|due| due <= now);
        if is_due {
            self.due = None;
        }
        is_due
    }
}
