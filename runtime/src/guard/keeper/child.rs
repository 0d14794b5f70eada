//! The child: one loop that never waits for anything but its descriptors, and threads that attach and close.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use anyhow::Context as _;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::file::{Probed, Programs};
use super::lease;
use super::message::{HEARTBEAT, Probe, Reply, Request, SILENCES, Why};
use super::wire::{self, Received};
use crate::{files::FileIdentity, priority};

/// Threads for what waits for grace periods: those of many files pass together.
const THREADS: usize = 16;

/// What a thread has done.
enum Done {
    Attached(u64, Box<Result<(Probed, Reply), Reply>>),
    Detached(u64),
}

type Job = Box<dyn FnOnce() + Send>;

/// A file that is being attached, attached, or being detached.
enum Entry {
    /// `unwanted`: it is to be detached as soon as it is there, for that reason.
    Attaching {
        unwanted: Option<Why>,
    },
    Attached(Probed),
    Detaching {
        why: Why,
    },
}

/// What is left of a file while its probes are closed. With the last of them it goes: first the file, and with it the lease, so
/// that whoever waits to write goes on; then it is told.
struct Rest {
    file: Option<OwnedFd>,
    attempt: u64,
    finished: mpsc::Sender<Done>,
    wake: Arc<EventFd>,
}

impl Drop for Rest {
    fn drop(&mut self) {
        drop(self.file.take());
        // The loop and its ends of both channels live as long as the process.
        if self.finished.send(Done::Detached(self.attempt)).is_ok() {
            let _ = self.wake.write(1);
        }
    }
}

struct Child {
    socket: OwnedFd,
    signals: SignalFd,
    /// Readable when a thread has done something.
    wake: Arc<EventFd>,
    done: mpsc::Receiver<Done>,
    finished: mpsc::Sender<Done>,
    jobs: mpsc::Sender<Job>,
    files: BTreeMap<u64, Entry>,
    /// Replies that the agent has not taken yet.
    outbox: VecDeque<Reply>,
    silences: u32,
}

/// Runs until the agent is gone; its standard input is the socket.
pub fn run() -> anyhow::Result<()> {
    priority::raise("the keeper");
    let mut child = Child::new().context("starting the keeper")?;
    while child.turn()? {}
    // Nobody is there to hear of it: all at once, before the process's end would do it one after the other.
    child.let_go_of_all(Why::Asked);
    while !child.files.is_empty() {
        child.wait(PollTimeout::NONE)?;
        child.take_done();
    }
    Ok(())
}

impl Child {
    fn new() -> anyhow::Result<Self> {
        // A Ctrl-C or a service manager's SIGTERM is the agent's to answer; the keeper ends after it.
        for name in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGPIPE] {
            // SAFETY: no handler is installed.
            unsafe { signal(name, SigHandler::SigIgn) }.context("ignoring signals")?;
        }
        // A policy may forbid it: then attaching the file that is too many fails, and says so.
        if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        }
        let mut mask = SigSet::empty();
        mask.add(lease::SIGNAL);
        mask.thread_block().context("blocking the leases' signal")?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let (finished, done) = mpsc::channel();
        Ok(Self {
            socket: io::stdin().as_fd().try_clone_to_owned().context("the socket to the agent")?,
            signals,
            wake,
            done,
            finished,
            jobs: threads().context("starting the keeper's threads")?,
            files: BTreeMap::new(),
            outbox: VecDeque::from([Reply::Ready]),
            silences: 0,
        })
    }

    /// Waits for something and answers it; false: the agent is gone.
    fn turn(&mut self) -> anyhow::Result<bool> {
        let timeout = u16::try_from(HEARTBEAT.as_millis()).unwrap_or(u16::MAX);
        let woken = self.wait(PollTimeout::from(timeout))?;
        self.take_done();
        if !self.take_requests(woken)? {
            return Ok(false);
        }
        self.ask_leases()?;
        self.send()
    }

    /// True: something was there before the time was up.
    fn wait(&self, timeout: PollTimeout) -> io::Result<bool> {
        let mut wanted = PollFlags::POLLIN;
        if !self.outbox.is_empty() {
            wanted |= PollFlags::POLLOUT;
        }
        let mut fds = [
            PollFd::new(self.socket.as_fd(), wanted),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.wake.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(nix::errno::Errno::EINTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn take_requests(&mut self, woken: bool) -> anyhow::Result<bool> {
        let mut heard = false;
        loop {
            match wire::receive(self.socket.as_fd()).context("reading what guard asks for")? {
                Received::Message(request, descriptors) => {
                    heard = true;
                    self.request(request, descriptors);
                }
                Received::Nothing => break,
                Received::Ended => return Ok(false),
            }
        }
        // What woke it may be a thread or a signal, whose number says nothing about the time that has passed.
        self.silences = if heard { 0 } else { self.silences + u32::from(!woken) };
        if self.silences >= SILENCES {
            self.silences = 0;
            self.let_go_of_all(Why::Silence);
        }
        Ok(true)
    }

    fn request(&mut self, request: Request, descriptors: Vec<OwnedFd>) {
        match request {
            Request::Attach { attempt, content, probes, multi } => {
                let mut descriptors = descriptors.into_iter();
                let Some(file) = descriptors.next() else {
                    let reason = "no descriptor of the file came along".to_owned();
                    return self.outbox.push_back(Reply::Refused { attempt, reason, passing: true });
                };
                let programs = Programs { descriptors: descriptors.collect(), multi };
                self.attach(attempt, programs, file, content, probes);
            }
            Request::Detach { attempt } => self.let_go(attempt, Why::Asked),
            Request::Alive => self.outbox.push_back(Reply::Alive),
        }
    }

    fn attach(
        &mut self,
        attempt: u64,
        programs: Programs,
        file: OwnedFd,
        content: FileIdentity,
        probes: Vec<Probe>,
    ) {
        self.files.insert(attempt, Entry::Attaching { unwanted: None });
        self.start(move || {
            let result = Probed::attach(attempt, &programs, file, content, &probes);
            Done::Attached(attempt, Box::new(result))
        });
    }

    /// Gives a thread something to do.
    fn start(&self, work: impl FnOnce() -> Done + Send + 'static) {
        let (finished, wake) = (self.finished.clone(), Arc::clone(&self.wake));
        let job: Job = Box::new(move || {
            // The loop and its ends of both channels live as long as the process.
            if finished.send(work()).is_ok() {
                let _ = wake.write(1);
            }
        });
        if self.jobs.send(job).is_err() {
            // The threads end with the process, never before; if they did, it must end too: that closes everything.
            std::process::abort();
        }
    }

    fn take_done(&mut self) {
        // Nothing there is as good as something.
        let _ = self.wake.read();
        while let Ok(done) = self.done.try_recv() {
            match done {
                Done::Attached(attempt, result) => self.attached(attempt, *result),
                Done::Detached(attempt) => {
                    if let Some(Entry::Detaching { why }) = self.files.remove(&attempt) {
                        self.outbox.push_back(Reply::Detached { attempt, why });
                    }
                }
            }
        }
    }

    fn attached(&mut self, attempt: u64, result: Result<(Probed, Reply), Reply>) {
        let unwanted = match self.files.remove(&attempt) {
            Some(Entry::Attaching { unwanted }) => unwanted,
            _ => None,
        };
        match result {
            Ok((probed, reply)) => {
                self.outbox.push_back(reply);
                // A writer may have come while it was being attached.
                let disturbed = probed.lease && !lease::is_undisturbed(probed.file.as_fd());
                self.files.insert(attempt, Entry::Attached(probed));
                if let Some(why) = unwanted.or(disturbed.then_some(Why::Writer)) {
                    self.let_go(attempt, why);
                }
            }
            Err(reply) => self.outbox.push_back(reply),
        }
    }

    /// Closes the probes of a file, several at a time, what was put in last first, then gives its lease back.
    fn let_go(&mut self, attempt: u64, why: Why) {
        match self.files.remove(&attempt) {
            Some(Entry::Attaching { unwanted }) => {
                let unwanted = Some(unwanted.unwrap_or(why));
                self.files.insert(attempt, Entry::Attaching { unwanted });
            }
            Some(Entry::Attached(probed)) => {
                self.files.insert(attempt, Entry::Detaching { why });
                self.close(attempt, probed);
            }
            Some(other) => drop(self.files.insert(attempt, other)),
            None => {}
        }
    }

    fn close(&self, attempt: u64, probed: Probed) {
        let Probed { file, links, .. } = probed;
        let (finished, wake) = (self.finished.clone(), Arc::clone(&self.wake));
        let rest = Arc::new(Rest { file: Some(file), attempt, finished, wake });
        for link in links.into_iter().rev() {
            let rest = Arc::clone(&rest);
            let job: Job = Box::new(move || {
                drop(link);
                drop(rest);
            });
            if self.jobs.send(job).is_err() {
                std::process::abort();
            }
        }
    }

    fn let_go_of_all(&mut self, why: Why) {
        let attempts: Vec<u64> = self.files.keys().copied().collect();
        for attempt in attempts {
            self.let_go(attempt, why);
        }
    }

    /// Somebody waits for a lease: which? All are asked, so that no signal can be lost.
    fn ask_leases(&mut self) -> anyhow::Result<()> {
        let mut asked = false;
        while self.signals.read_signal().context("reading the leases' signal")?.is_some() {
            asked = true;
        }
        if !asked {
            return Ok(());
        }
        let disturbed: Vec<u64> = self
            .files
            .iter()
            .filter(|(_, entry)| match entry {
                Entry::Attached(probed) => probed.lease && !lease::is_undisturbed(probed.file.as_fd()),
                Entry::Attaching { .. } | Entry::Detaching { .. } => false,
            })
            .map(|(attempt, _)| *attempt)
            .collect();
        for attempt in disturbed {
            self.let_go(attempt, Why::Writer);
        }
        Ok(())
    }

    fn send(&mut self) -> anyhow::Result<bool> {
        while let Some(reply) = self.outbox.front() {
            match wire::send(self.socket.as_fd(), reply, &[]) {
                Ok(()) => drop(self.outbox.pop_front()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                Err(error) => return Err(error).context("answering guard"),
            }
        }
        Ok(true)
    }
}

/// Threads that do what is sent to them.
fn threads() -> io::Result<mpsc::Sender<Job>> {
    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for index in 0..THREADS {
        let receiver = Arc::clone(&receiver);
        std::thread::Builder::new().name(format!("keeper-{index}")).stack_size(256 * 1024).spawn(
            move || {
                loop {
                    let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    match job {
                        Ok(job) => job(),
                        Err(_) => return,
                    }
                }
            },
        )?;
    }
    Ok(sender)
}
