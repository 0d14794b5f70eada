//! When to send again: the policy alone, without transport and without time of its own.
//!
//! The protocol's rules: 429, 502, 503, 504 and no answer at all are worth another attempt, everything else is not; waits grow
//! exponentially, with jitter; `Retry-After` is the least that a wait may be. 413 is about this request's size alone. A collector that restarts is away for some
//! seconds, an upgrade for a minute: hence [`GIVE_UP_AFTER`].

use std::time::{Duration, SystemTime};

/// The first wait.
pub const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait that growth leads to.
pub const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A request is given up this long after its first attempt.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(120);

/// What an answer's status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The collector has it.
    Accepted,
    /// Try again, after this at least.
    Retry(Duration),
    /// Send less at a time.
    TooLarge,
    /// Never send this again.
    Refused,
}

/// Judges a status, with the value of `Retry-After`.
pub fn judge(status: u16, retry_after: Option<&str>, now: SystemTime) -> Verdict {
    match status {
        200..=299 => Verdict::Accepted,
        429 | 502..=504 => {
            Verdict::Retry(retry_after.and_then(|text| parse_retry_after(text, now)).unwrap_or_default())
        }
        413 => Verdict::TooLarge,
        _ => Verdict::Refused,
    }
}

/// The waits of one request.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST_WAIT }
    }
}

impl Backoff {
    /// How long to wait before the next attempt; `None`: give up.
    ///
    /// `elapsed` is the time since the first attempt, `least` what the collector asked for, `jitter` a number from 0 to 1.
    pub fn wait(&mut self, elapsed: Duration, least: Duration, jitter: f64) -> Option<Duration> {
        let base = self.next.max(least);
        self.next = base.saturating_mul(2).min(LONGEST_WAIT);
        let wait = base.saturating_add(base.min(LONGEST_WAIT).mul_f64(jitter.clamp(0.0, 1.0) / 2.0));
        (elapsed.saturating_add(wait) <= GIVE_UP_AFTER).then_some(wait)
    }
}

/// Seconds, or a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(u64::from(seconds)));
    }
    let unix = Duration::from_secs(parse_http_date(text)?);
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(unix.saturating_sub(now))
}

/// IMF-fixdate (RFC 9110 §5.6.7), the only form that is still sent, to seconds since 1970.
fn parse_http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month_name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == month_name)? as u64;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(|number| number.parse::<u64>().ok().filter(|n| *n < 61));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    Some(days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// `month` from 0. Years are counted from March, so that a leap day is the last of its year.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    // 0000-03-01 is 719,468 days before 1970-01-01.
    (year * 365 + leap_days + day_of_year).saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn verdicts() {
        let now = SystemTime::UNIX_EPOCH + S(784_111_777);
        for (status, retry_after, want) in [
            (200, None, Verdict::Accepted),
            (202, None, Verdict::Accepted),
            (429, None, Verdict::Retry(S(0))),
            (429, Some("7"), Verdict::Retry(S(7))),
            (503, Some("Sun, 06 Nov 1994 08:50:37 GMT"), Verdict::Retry(S(60))),
            (503, Some("Sun, 06 Nov 1994 08:00:00 GMT"), Verdict::Retry(S(0))),
            (503, Some("soon"), Verdict::Retry(S(0))),
            (503, Some("-1"), Verdict::Retry(S(0))),
            (502, None, Verdict::Retry(S(0))),
            (504, None, Verdict::Retry(S(0))),
            (500, Some("7"), Verdict::Refused),
            (501, None, Verdict::Refused),
            (400, None, Verdict::Refused),
            (404, None, Verdict::Refused),
            (413, None, Verdict::TooLarge),
            (301, None, Verdict::Refused),
        ] {
            assert_eq!(judge(status, retry_after, now), want, "{status} {retry_after:?}");
        }
    }

    #[test]
    fn dates() {
        for (text, want) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 12:00:00 GMT", Some(1_709_208_000)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("06 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49", None),
            ("Sun, 06 Nov 1994 99:49:37 GMT", None),
        ] {
            assert_eq!(parse_http_date(text), want, "{text}");
        }
    }

    #[test]
    fn waits_grow_to_a_cap_and_end() {
        let mut backoff = Backoff::default();
        let (mut elapsed, mut waits) = (Duration::ZERO, Vec::new());
        while let Some(wait) = backoff.wait(elapsed, Duration::ZERO, 0.0) {
            waits.push(wait.as_millis());
            elapsed += wait;
        }
        assert_eq!(waits.get(..6), Some(&[500, 1_000, 2_000, 4_000, 8_000, 10_000][..]));
        assert!(elapsed > S(60) && elapsed <= GIVE_UP_AFTER, "{elapsed:?}");
    }

    #[test]
    fn jitter_adds_and_the_collector_sets_the_least() {
        assert_eq!(Backoff::default().wait(S(0), S(0), 1.0), Some(Duration::from_millis(750)));
        let mut backoff = Backoff::default();
        assert_eq!(backoff.wait(S(0), S(30), 0.0), Some(S(30)));
        assert_eq!(backoff.wait(S(30), S(0), 0.0), Some(LONGEST_WAIT));
        assert_eq!(Backoff::default().wait(S(0), S(3_600), 0.0), None);
        assert_eq!(Backoff::default().wait(S(0), Duration::MAX, 1.0), None);
    }
}
