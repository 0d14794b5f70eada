//! When to say that the collector does not take spans: at once, then ever more rarely, and once more when it does again.
//!
//! Each [`Cause`] has a schedule of its own, so that a new one is said at once while an old one goes on. All requests share
//! the schedules: many requests that fail in the same way are one piece of news.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::cause::Cause;

/// The first silence after a line; it doubles …
const FIRST_SILENCE: Duration = Duration::from_secs(10);
/// … up to this.
const LONGEST_SILENCE: Duration = Duration::from_secs(300);
/// A collector that has not answered for so long …
const AWAY_AFTER: Duration = Duration::from_secs(5);
/// … and so many requests is away, not restarting.
const AWAY_FAILURES: u32 = 3;

/// What the requests of one exporter met.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether anything has ever come back.
    answered: bool,
    /// Since when nothing has come back.
    silent_since: Option<Instant>,
    /// Attempts since then.
    failures: u32,
    /// Whether the log says that the collector is out of reach.
    said_silent: bool,
    said: Vec<Said>,
}

#[derive(Debug)]
struct Said {
    cause: Cause,
    last: Instant,
    silence: Duration,
    suppressed: u64,
}

impl Trouble {
    /// An attempt failed: `Some(number of failures not said)` if it is to be said now.
    pub(super) fn failed(&self, cause: Cause, now: Instant) -> Option<u64> {
        let mut state = self.lock();
        let news = state.is_news(cause, now);
        if cause.is_answer() {
            state.answered = true;
            state.silent_since = None;
        } else {
            if state.silent_since.is_none() {
                (state.silent_since, state.failures) = (Some(now), 0);
            }
            state.failures = state.failures.saturating_add(1);
            state.said_silent |= news.is_some();
        }
        news
    }

    /// The collector has taken spans: for how long it had been away, if the log says that it is.
    pub(super) fn accepted(&self, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        state.answered = true;
        let away = state.silent_since.take().map(|since| now.saturating_duration_since(since));
        if !std::mem::take(&mut state.said_silent) {
            return None;
        }
        state.said.retain(|said| said.cause.is_answer());
        away
    }

    /// Whether waiting for the collector is likely to be in vain: it has been silent for a while, or from the beginning.
    pub(super) fn is_away(&self, now: Instant) -> bool {
        let state = self.lock();
        let for_long =
            |since| state.failures >= AWAY_FAILURES && now.saturating_duration_since(since) >= AWAY_AFTER;
        state.silent_since.is_some_and(|since| !state.answered || for_long(since))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_news(&mut self, cause: Cause, now: Instant) -> Option<u64> {
        let Some(said) = self.said.iter_mut().find(|said| said.cause == cause) else {
            self.said.push(Said { cause, last: now, silence: FIRST_SILENCE, suppressed: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(said.last) < said.silence {
            said.suppressed += 1;
            return None;
        }
        said.last = now;
        said.silence = (said.silence * 2).min(LONGEST_SILENCE);
        Some(std::mem::take(&mut said.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn said_at_once_then_ever_more_rarely() {
        let (trouble, begin) = (Trouble::default(), Instant::now());
        let said: Vec<u64> = (0..3_600)
            .filter(|second| trouble.failed(Cause::Refused, begin + S(*second)).is_some())
            .collect();
        assert_eq!(said.get(..7), Some(&[0, 10, 30, 70, 150, 310, 610][..]));
        assert_eq!(trouble.failed(Cause::TimedOut, begin + S(3_601)), Some(0));
    }

    #[test]
    fn its_return_is_said_once_and_the_next_failure_at_once() {
        let (trouble, begin) = (Trouble::default(), Instant::now());
        assert_eq!(trouble.accepted(begin), None);
        assert_eq!(trouble.failed(Cause::Refused, begin), Some(0));
        assert_eq!(trouble.failed(Cause::Refused, begin + S(1)), None);
        assert_eq!(trouble.accepted(begin + S(7)), Some(S(7)));
        assert_eq!(trouble.accepted(begin + S(8)), None);
        assert_eq!(trouble.failed(Cause::Refused, begin + S(9)), Some(0));
    }

    #[test]
    fn away_from_the_beginning_or_for_a_while() {
        let (trouble, begin) = (Trouble::default(), Instant::now());
        assert!(!trouble.is_away(begin));
        trouble.failed(Cause::Refused, begin);
        assert!(trouble.is_away(begin));
        trouble.accepted(begin + S(1));
        trouble.failed(Cause::Refused, begin + S(2));
        trouble.failed(Cause::TimedOut, begin + S(3));
        assert!(!trouble.is_away(begin + S(7)), "two attempts are few");
        trouble.failed(Cause::Refused, begin + S(4));
        assert!(!trouble.is_away(begin + S(6)) && trouble.is_away(begin + S(7)));
        trouble.failed(Cause::Status(503), begin + S(8));
        assert!(!trouble.is_away(begin + S(60)));
    }
}
