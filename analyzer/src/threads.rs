//! Work that is divided among threads, where that is allowed.

use std::num::NonZero;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};

/// More take longer to start than they gain.
const MOST: usize = 4;

/// Does both, the first in a thread of its own if that is allowed and there is one to be had.
pub(crate) fn both<A: Send, B>(
    allowed: bool,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B,
) -> (A, B) {
    if !allowed {
        return (first(), second());
    }
    thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        (joined(first), second)
    })
}

/// What is made of each, in their order.
pub(crate) fn each<T: Sync, U: Send>(allowed: bool, all: &[T], make: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let cores = if allowed { thread::available_parallelism().map_or(1, NonZero::get) } else { 1 };
    let count = cores.min(MOST).min(all.len());
    if count < 2 {
        return all.iter().map(make).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut made = Vec::new();
        while let Some((place, one)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, all.get(n)?)))
        {
            made.push((place, make(one)));
        }
        made
    };
    let mut made = thread::scope(|scope| {
        let others: Vec<_> = (1..count).map(|_| scope.spawn(work)).collect();
        let mut made = work();
        made.extend(others.into_iter().flat_map(joined));
        made
    });
    made.sort_by_key(|(place, _)| *place);
    made.into_iter().map(|(_, one)| one).collect()
}

/// What a thread has made; its panic is this one's.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|cause| panic::resume_unwind(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_change_nothing() {
        let all: Vec<u32> = (0..100).collect();
        for allowed in [false, true] {
            assert_eq!(both(allowed, || 1, || 2), (1, 2));
            assert_eq!(each(allowed, &all, |n| n * 2), all.iter().map(|n| n * 2).collect::<Vec<_>>());
        }
    }
}
