//! The thread that empties the record ring: it waits for the ring alone, and never for export.
//!
//! ```text
//!  record ring ──► slices of 256 ──► [Sink] ──► export's queue
//!  guard ────────► know, forget ───────┘
//! ```
//! Two promises hold together what guard says and what the ring holds. A process that guard makes known before it configures
//! it is known to the sink when its first record is taken: what guard has said is asked for before each slice, and once more
//! when a record's process is not known. A process that guard has forgotten in the kernel before it says so here loses no
//! record: it is forgotten when the ring has been empty for a while since, or as many bytes were taken from it as it can hold.
//! (For a while: a ring looks empty, too, while the program that has reserved its oldest record is still filling it.)

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use tracing::{error, warn};

use crate::priority;
use crate::records::{self, Gone};
use crate::sink::{Output, Sink};
use crate::sources::Source;

/// How many records are taken before anybody else is listened to.
const SLICE: usize = 256;
/// How often the ring is emptied when nothing fills it (field-notes §10).
const POLL: Duration = Duration::from_millis(100);
/// A program that has reserved a record has filled it long before that.
const SETTLED: Duration = POLL;
/// How long drain stays away from a ring that is readable and gives nothing: its oldest record is being filled.
const BREATH: Duration = Duration::from_millis(1);
/// How often lost data is looked for and reported.
const REPORT: Duration = Duration::from_secs(10);

/// How often it is asked what has waited long enough.
const SETTLE: Duration = Duration::from_secs(1);

/// A ring of records, or several that are one to drain.
pub trait RecordRing: Send {
    /// One is readable when the programs have woken whoever waits.
    fn fds(&self) -> Vec<BorrowedFd<'_>>;

    /// The programs may wake again: they do so once, when enough has come together since.
    fn rearm(&mut self);

    /// Hands the next record over; false if there is none.
    fn next(&mut self, take: &mut dyn FnMut(&[u8])) -> bool;

    /// When so many bytes have been taken, whatever was in it before has been taken.
    fn capacity(&self) -> usize;
}

/// What guard tells drain.
enum Message {
    Know { tgid: u32, generation: u32, source: Arc<Source> },
    Forget { tgid: u32, generation: u32 },
    GaveWay(Gone),
    Stop,
}

/// The running thread.
pub struct Drain<O> {
    messages: Sender<Message>,
    bell: Arc<EventFd>,
    thread: JoinHandle<Sink<O>>,
}

impl<O: Output + 'static> Drain<O> {
    /// Starts the thread.
    pub fn start(ring: Box<dyn RecordRing>, sink: Sink<O>) -> io::Result<Self> {
        let (messages, inbox) = channel();
        let bell = Arc::new(EventFd::new()?);
        let ears = Arc::clone(&bell);
        let worker = Worker { ring, sink, inbox, leaving: Vec::new(), taken_bytes: 0, is_stopping: false };
        let thread = std::thread::Builder::new().name("drain".to_owned()).spawn(move || worker.run(&ears))?;
        Ok(Self { messages, bell, thread })
    }

    /// Makes a process known, or its source another one. To be said before the process is configured in the kernel.
    pub fn know(&self, tgid: u32, generation: u32, source: Arc<Source>) {
        self.tell(Message::Know { tgid, generation, source });
    }

    /// Has a process forgotten once its records are taken. To be said when the kernel has forgotten it.
    pub fn forget(&self, tgid: u32, generation: u32) {
        self.tell(Message::Forget { tgid, generation });
    }

    /// What a process never ends is kept no longer once its records are taken: it may have ended just before.
    pub fn gave_way(&self, gone: Gone) {
        self.tell(Message::GaveWay(gone));
    }

    fn tell(&self, message: Message) {
        if self.messages.send(message).is_err() {
            // It ends only by a defect, which its join will show.
            error!("the drain thread has ended early: no more spans");
        }
    }

    /// Takes what is left in the ring and ends the thread.
    pub fn stop(self) -> Result<Sink<O>, StopError> {
        self.tell(Message::Stop);
        if let Err(error) = self.bell.write(1) {
            warn!("drain could not be woken, it will end at its next look: {error}");
        }
        self.thread.join().map_err(|_| StopError)
    }
}

/// The thread has panicked.
#[derive(Debug, thiserror::Error)]
#[error("the drain thread has panicked: what it had not exported is lost; please report the message above")]
pub struct StopError;

/// What is to be forgotten, once its records are taken.
struct Leaving {
    what: Left,
    /// When drain heard of it.
    heard: Instant,
    /// When so many bytes have been taken, what was in the ring when guard spoke has been taken.
    by_taken_bytes: u64,
}

enum Left {
    Process {
        tgid: u32,
        generation: u32,
    },
    /// The oldest of what a process has open.
    Oldest(Gone),
}

/// What the thread works with.
struct Worker<O> {
    ring: Box<dyn RecordRing>,
    sink: Sink<O>,
    inbox: Receiver<Message>,
    leaving: Vec<Leaving>,
    taken_bytes: u64,
    is_stopping: bool,
}

impl<O: Output> Worker<O> {
    fn run(mut self, bell: &EventFd) -> Sink<O> {
        priority::raise("drain");
        let (mut reported, mut settled) = (Instant::now(), Instant::now());
        while !self.is_stopping {
            let is_asked = self.wait(bell);
            if !self.empty() && is_asked && !self.is_stopping {
                std::thread::sleep(BREATH);
            }
            if settled.elapsed() >= SETTLE {
                settled = Instant::now();
                self.sink.settle();
            }
            if reported.elapsed() >= REPORT {
                reported = Instant::now();
                self.sink.report();
            }
        }
        self.sink
    }

    /// Until the ring asks for it, guard stops drain, or the time is up; false: the time is up.
    fn wait(&self, bell: &EventFd) -> bool {
        let asked = self.ring.fds().into_iter().chain([bell.as_fd()]);
        let mut fds: Vec<_> = asked.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let timeout = PollTimeout::try_from(POLL).unwrap_or(PollTimeout::NONE);
        match poll(&mut fds, timeout) {
            Ok(ready) => ready > 0,
            Err(nix::Error::EINTR) => false,
            Err(error) => {
                // Nothing but a lack of kernel memory: the ring is emptied on the clock meanwhile.
                warn!("waiting for the record ring: {error}; looking again in {POLL:?}");
                std::thread::sleep(POLL);
                false
            }
        }
    }

    /// Slices until the ring is empty; whether anything was in it.
    fn empty(&mut self) -> bool {
        let before = self.taken_bytes;
        loop {
            self.listen();
            let is_empty = self.slice() < SLICE;
            self.forget_those_leaving(is_empty);
            if is_empty {
                // Not before: while much is still in there, a program finds the mark crossed and wakes whoever is awake.
                self.ring.rearm();
                return self.taken_bytes > before;
            }
        }
    }

    /// Takes up to a slice of records; fewer: the ring was empty.
    fn slice(&mut self) -> usize {
        let Self { ring, sink, inbox, leaving, taken_bytes, is_stopping } = self;
        let capacity = ring.capacity() as u64;
        for taken in 0..SLICE {
            let mut take = |bytes: &[u8]| {
                *taken_bytes += bytes.len() as u64;
                let is_unknown =
                    records::head(bytes).is_ok_and(|(head, _)| !sink.knows(head.tgid, head.generation));
                if is_unknown {
                    listen(inbox, sink, leaving, *taken_bytes + capacity, is_stopping);
                }
                sink.record(bytes);
            };
            if !ring.next(&mut take) {
                return taken;
            }
        }
        SLICE
    }

    fn listen(&mut self) {
        let end = self.taken_bytes + self.ring.capacity() as u64;
        listen(&self.inbox, &mut self.sink, &mut self.leaving, end, &mut self.is_stopping);
    }

    fn forget_those_leaving(&mut self, is_empty: bool) {
        let Self { leaving, sink, taken_bytes, .. } = self;
        leaving.retain(|left| {
            let is_settled = is_empty && left.heard.elapsed() >= SETTLED;
            let stays = !is_settled && *taken_bytes < left.by_taken_bytes;
            match left.what {
                _ if stays => {}
                Left::Process { tgid, generation } => sink.forget(tgid, generation),
                Left::Oldest(gone) => sink.gave_way(gone),
            }
            stays
        });
    }
}

/// Heeds what guard has said.
fn listen<O: Output>(
    inbox: &Receiver<Message>,
    sink: &mut Sink<O>,
    leaving: &mut Vec<Leaving>,
    by_taken_bytes: u64,
    is_stopping: &mut bool,
) {
    loop {
        match inbox.try_recv() {
            Ok(Message::Know { tgid, generation, source }) => sink.know(tgid, generation, source),
            Ok(Message::Forget { tgid, generation }) => {
                let what = Left::Process { tgid, generation };
                leaving.push(Leaving { what, heard: Instant::now(), by_taken_bytes });
            }
            Ok(Message::GaveWay(gone)) => {
                leaving.push(Leaving { what: Left::Oldest(gone), heard: Instant::now(), by_taken_bytes });
            }
            // Whoever held the other end is gone without a word: the thread must not outlive it.
            Ok(Message::Stop) | Err(TryRecvError::Disconnected) => {
                *is_stopping = true;
                return;
            }
            Err(TryRecvError::Empty) => return,
        }
    }
}

#[cfg(test)]
#[path = "drain_tests.rs"]
mod tests;
