use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::sink::tests::{Taken, record, sink, source};

/// How many bytes of records the ring holds.
const CAPACITY: usize = 1 << 20;

/// A ring in this process's own memory.
#[derive(Clone)]
struct ToyRing {
    records: Arc<Mutex<VecDeque<Vec<u8>>>>,
    wake: Arc<EventFd>,
    rearmed: Arc<AtomicUsize>,
    /// A program has used up its one call, as each does here while drain is awake.
    has_called: Arc<AtomicBool>,
    /// Drain went to sleep so: nobody would wake it.
    slept_deaf: Arc<AtomicBool>,
}

/// Its reading end.
struct Reader {
    ring: ToyRing,
    fd: OwnedFd,
}

impl ToyRing {
    fn new() -> Self {
        let wake = Arc::new(EventFd::new().expect("an eventfd"));
        Self {
            records: Arc::default(),
            wake,
            rearmed: Arc::default(),
            has_called: Arc::default(),
            slept_deaf: Arc::default(),
        }
    }

    fn reader(&self) -> Box<Reader> {
        let fd = self.wake.as_fd().try_clone_to_owned().expect("a descriptor");
        Box::new(Reader { ring: self.clone(), fd })
    }

    /// Waits for room where a program would count a loss: what the ring can hold is what drain goes by. Records are of one size.
    fn put(&self, record: Vec<u8>) {
        loop {
            let mut records = self.records.lock().expect("no panic");
            if (records.len() + 1) * record.len() <= CAPACITY {
                return records.push_back(record);
            }
            drop(records);
            std::thread::yield_now();
        }
    }

    fn is_empty(&self) -> bool {
        self.records.lock().expect("no panic").is_empty()
    }
}

impl RecordRing for Reader {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        // Asked for by whoever is about to wait.
        if self.ring.has_called.load(Ordering::Relaxed) {
            self.ring.slept_deaf.store(true, Ordering::Relaxed);
        }
        vec![self.fd.as_fd()]
    }

    fn rearm(&mut self) {
        self.ring.rearmed.fetch_add(1, Ordering::Relaxed);
        self.ring.has_called.store(false, Ordering::Relaxed);
    }

    fn next(&mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        let record = self.ring.records.lock().expect("no panic").pop_front();
        record.is_some_and(|record| {
            self.ring.has_called.store(true, Ordering::Relaxed);
            take(&record);
            true
        })
    }

    fn capacity(&self) -> usize {
        CAPACITY
    }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn no_record_waits_for_more_than_the_poll() {
    let (ring, taken) = (ToyRing::new(), Taken::default());
    let drain = Drain::start(ring.reader(), sink(1 << 20, taken.clone())).expect("a thread");
    drain.know(1, 1, source("a"));
    for nth in 1..=5 {
        ring.put(record(2, 1, 1));
        wait_until("taken without anybody waking it", || taken.services().len() == nth);
    }
    assert!(ring.rearmed.load(Ordering::Relaxed) > 0);
    drain.stop().expect("no panic");
}

/// A program that finds the ring over half full while drain empties it calls once, to nobody's use: before drain sleeps, the
/// next crossing must be able to call again. (It was not: a full ring stood for 100 ms.)
#[test]
fn a_call_during_the_drain_does_not_cost_the_next() {
    let (ring, taken) = (ToyRing::new(), Taken::default());
    let drain = Drain::start(ring.reader(), sink(1 << 20, taken.clone())).expect("a thread");
    drain.know(1, 1, source("a"));
    for nth in 1..=3 {
        ring.put(record(2, 1, 1));
        wait_until("taken", || taken.services().len() == nth);
    }
    drain.stop().expect("no panic");
    assert!(!ring.slept_deaf.load(Ordering::Relaxed));
}

#[test]
fn what_is_in_the_ring_when_it_stops_is_taken() {
    let (ring, taken) = (ToyRing::new(), Taken::default());
    let drain = Drain::start(ring.reader(), sink(1 << 20, taken.clone())).expect("a thread");
    drain.know(1, 1, source("a"));
    for _ in 0..10_000 {
        ring.put(record(2, 1, 1));
    }
    drain.stop().expect("no panic");
    assert_eq!(taken.services().len(), 10_000);
    assert!(ring.is_empty());
}

/// Processes become known and are traced while the thread takes records without a pause: none is ever unknown.
#[test]
fn a_process_is_known_before_its_first_record() {
    let (ring, taken) = (ToyRing::new(), Taken::default());
    let drain = Drain::start(ring.reader(), sink(1 << 20, taken.clone())).expect("a thread");
    drain.know(0, 0, source("busy"));
    let is_done = Arc::new(AtomicBool::new(false));
    let busy = std::thread::spawn({
        let (ring, is_done) = (ring.clone(), Arc::clone(&is_done));
        move || {
            while !is_done.load(Ordering::Relaxed) {
                ring.put(record(1, 0, 0));
                std::thread::yield_now();
            }
        }
    });
    for generation in 1..=2_000 {
        drain.know(1, generation, source("new"));
        ring.put(record(2, 1, generation));
        // It is gone at once: guard says so after its record, and before anybody has taken that.
        drain.forget(1, generation);
    }
    is_done.store(true, Ordering::Relaxed);
    busy.join().expect("no panic");
    let sink = drain.stop().expect("no panic");
    assert_eq!(taken.services().len(), 2_000);
    assert!(
        sink.counters().iter().all(|count| !count.is_loss || count.value == 0 || count.name == "toy.lost")
    );
}

#[test]
fn a_process_is_forgotten_in_the_end() {
    let ring = ToyRing::new();
    let drain = Drain::start(ring.reader(), sink(1 << 20, Taken::default())).expect("a thread");
    drain.know(1, 1, source("a"));
    ring.put(record(1, 1, 1));
    drain.forget(1, 1);
    std::thread::sleep(POLL * 5);
    let sink = drain.stop().expect("no panic");
    assert!(!sink.knows(1, 1));
    assert!(sink.counters().iter().any(|count| count.name == "joiners.held_bytes" && count.value == 0));
}

#[test]
fn it_does_not_outlive_its_owner() {
    let (ring, taken) = (ToyRing::new(), Taken::default());
    let drain = Drain::start(ring.reader(), sink(1 << 20, taken)).expect("a thread");
    let Drain { messages, bell, thread } = drain;
    drop((messages, bell));
    wait_until("ended", || thread.is_finished());
}
