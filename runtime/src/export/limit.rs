//! Rate limit for log lines: a flood of failures says so once in a while, with the number of those not shown.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// At most one line per this.
const INTERVAL: Duration = Duration::from_secs(10);

/// Says whether a line may be logged now.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<(Option<Instant>, u64)>);

impl Limiter {
    /// `Some(number of suppressed lines)` if a line may be logged.
    pub(crate) fn allow(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (last, suppressed) = &mut *state;
        if last.is_some_and(|last| last.elapsed() < INTERVAL) {
            *suppressed += 1;
            return None;
        }
        *last = Some(Instant::now());
        Some(std::mem::take(suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_then_silence() {
        let limiter = Limiter::default();
        assert_eq!((limiter.allow(), limiter.allow(), limiter.allow()), (Some(0), None, None));
    }
}
