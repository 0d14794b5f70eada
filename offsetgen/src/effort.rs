//! How long this program ran, and how much of that a go command was running: the floor under any build.
//!
//! Deliberately not here: the processor time of others on the machine.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Go commands that run now, since when one or more of them have, and how long before.
struct Clock {
    running: usize,
    since: Option<Instant>,
    total: Duration,
}

static CLOCK: Mutex<Clock> = Mutex::new(Clock { running: 0, since: None, total: Duration::ZERO });

/// A go command that is running, until this is dropped.
pub struct Busy(());

/// A go command begins.
pub fn busy() -> Busy {
    let mut clock = CLOCK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    clock.running += 1;
    clock.since.get_or_insert_with(Instant::now);
    Busy(())
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut clock = CLOCK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        clock.running -= 1;
        if clock.running == 0 {
            let ran = clock.since.take().map_or(Duration::ZERO, |since| since.elapsed());
            clock.total += ran;
        }
    }
}

/// `took 123 s, 91 % of it with a go command running`.
pub fn summary(begun: Instant) -> String {
    let clock = CLOCK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (all, go) = (begun.elapsed().as_secs_f64(), clock.total.as_secs_f64());
    format!("took {all:.0} s, {:.0} % of it with a go command running", go / all.max(0.001) * 100.0)
}
