//! Which signals are passed on to the command: those that it has not got already.
//!
//! A terminal signals its foreground process group, systemd every process of a cgroup, Kubernetes and `kill PID` strobe alone.
//! What strobe gets does not tell which it was. So the kernel tells which signals the command gets (`command_signal` in
//! runtime-ebpf), and a signal is passed on unless the same sender sent the same one to the command at about the same time
//! (docs/decisions/exec-signals.md). [`Inbox`] is the rule, without any I/O.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};

/// How long a signal waits for news that the command has got it too: a service manager that goes through a cgroup's
/// processes one by one needs a few milliseconds.
pub const AFTER: Duration = Duration::from_millis(200);
/// How long ago the command may have got it: strobe may be late in reading its own.
pub const BEFORE: Duration = Duration::from_secs(1);
/// How many of the command's signals are remembered.
const REMEMBERED: usize = 64;

/// Signals that are the command's business.
pub const FORWARDED: &[Signal] = &[
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGALRM,
];

/// A signal with all that tells one sending from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Got {
    /// Its number.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_pid`.
    pub sender: u32,
    /// When, on CLOCK_MONOTONIC.
    pub at: Duration,
}

impl Got {
    /// One that strobe has read from its own descriptor, now.
    pub fn read(info: &siginfo, now: Duration) -> anyhow::Result<Self> {
        let signal = i32::try_from(info.ssi_signo).context("a signal's number")?;
        Ok(Self { signal, code: info.ssi_code, sender: info.ssi_pid, at: now })
    }

    /// One that the command got, as the kernel's side reports it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (time, rest) = bytes.split_first_chunk::<8>()?;
        let (signal, rest) = rest.split_first_chunk::<4>()?;
        let (code, rest) = rest.split_first_chunk::<4>()?;
        let sender = rest.first_chunk::<4>()?;
        Some(Self {
            signal: i32::from_ne_bytes(*signal),
            code: i32::from_ne_bytes(*code),
            sender: u32::from_ne_bytes(*sender),
            at: Duration::from_nanos(u64::from_ne_bytes(*time)),
        })
    }

    fn is_one_sending_with(&self, other: &Self) -> bool {
        (self.signal, self.code, self.sender) == (other.signal, other.code, other.sender)
    }
}

/// Signals that strobe got, and those that the command got.
#[derive(Debug, Default)]
pub struct Inbox {
    waiting: VecDeque<Got>,
    reached: VecDeque<Got>,
}

impl Inbox {
    /// strobe has got a signal.
    pub fn strobe_got(&mut self, got: Got) {
        self.waiting.push_back(got);
    }

    /// The command has got a signal.
    pub fn command_got(&mut self, got: Got) {
        if self.reached.len() == REMEMBERED {
            self.reached.pop_front();
        }
        self.reached.push_back(got);
    }

    /// The signals to pass on now, in the order in which they came.
    pub fn due(&mut self, now: Duration) -> Vec<i32> {
        self.waiting.retain(|got| !has_reached(&self.reached, got));
        let is_due = |got: &Got| now.saturating_sub(got.at) >= AFTER;
        let mut due = Vec::new();
        while let Some(got) = self.waiting.pop_front_if(|got| is_due(got)) {
            due.push(got.signal);
        }
        due
    }

    /// How long until [`Inbox::due`] may have something more to pass on.
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        self.waiting.front().map(|got| (got.at + AFTER).saturating_sub(now))
    }
}

fn has_reached(reached: &VecDeque<Got>, got: &Got) -> bool {
    reached.iter().any(|other| {
        other.is_one_sending_with(got) && other.at + BEFORE >= got.at && got.at + AFTER >= other.at
    })
}

/// CLOCK_MONOTONIC, as the kernel's side reads it.
pub fn now() -> anyhow::Result<Duration> {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).context("reading the clock")?;
    Ok(Duration::from(time))
}

/// Blocks the forwarded signals for this process and gives a descriptor to read them from. Before any thread is started.
pub fn descriptor() -> anyhow::Result<SignalFd> {
    let mask: SigSet = FORWARDED.iter().copied().collect();
    mask.thread_block().context("blocking signals")?;
    SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).context("signalfd")
}

#[cfg(test)]
mod tests {
    use runtime_ebpf::signals::SignalEvent;

    use super::*;

    fn got(signal: Signal, sender: u32, at_ms: u64) -> Got {
        Got { signal: signal as i32, code: libc::SI_USER, sender, at: Duration::from_millis(at_ms) }
    }

    /// What strobe passes on, given what both got, asked each 10 ms.
    fn passed_on(strobe: &[Got], command: &[Got]) -> Vec<i32> {
        let mut inbox = Inbox::default();
        let mut passed = Vec::new();
        for now in (0..3_000).step_by(10).map(Duration::from_millis) {
            let new = |got: &&Got| got.at + Duration::from_millis(10) > now && got.at <= now;
            strobe.iter().filter(new).for_each(|got| inbox.strobe_got(*got));
            command.iter().filter(new).for_each(|got| inbox.command_got(*got));
            passed.extend(inbox.due(now));
        }
        passed
    }

    #[test]
    fn what_the_command_has_got_is_not_passed_on() {
        let term = |sender, at| got(Signal::SIGTERM, sender, at);
        let (sigterm, sigint) = (Signal::SIGTERM as i32, Signal::SIGINT as i32);
        for (case, strobe, command, want) in [
            ("strobe alone", vec![term(7, 100)], vec![], vec![sigterm]),
            ("the group", vec![term(7, 100)], vec![term(7, 100)], vec![]),
            ("a cgroup, strobe first", vec![term(1, 100)], vec![term(1, 250)], vec![]),
            ("a cgroup, the command first", vec![term(1, 900)], vec![term(1, 100)], vec![]),
            ("another sender", vec![term(7, 100)], vec![term(8, 100)], vec![sigterm]),
            ("much later", vec![term(7, 100)], vec![term(7, 400)], vec![sigterm]),
            ("timeout(1): process and group", vec![term(7, 100), term(7, 110)], vec![term(7, 110)], vec![]),
            (
                "two signals keep their order",
                vec![got(Signal::SIGINT, 7, 100), term(7, 110)],
                vec![],
                vec![sigint, sigterm],
            ),
        ] {
            assert_eq!(passed_on(&strobe, &command), want, "{case}");
        }
    }

    #[test]
    fn events_are_decoded() {
        let event = SignalEvent { time_ns: 5_000_000, signal: 15, code: -6, sender: 42, reserved: 0 };
        let mut bytes = event.time_ns.to_ne_bytes().to_vec();
        bytes.extend(event.signal.to_ne_bytes());
        bytes.extend(event.code.to_ne_bytes());
        bytes.extend(event.sender.to_ne_bytes());
        bytes.extend(event.reserved.to_ne_bytes());
        assert_eq!(bytes.len(), size_of::<SignalEvent>());
        let want = Got { signal: 15, code: -6, sender: 42, at: Duration::from_millis(5) };
        assert_eq!(Got::decode(&bytes), Some(want));
        assert_eq!(Got::decode(&bytes[..12]), None);
    }
}
