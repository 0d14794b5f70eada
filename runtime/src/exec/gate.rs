//! While the command waits at its gate, its file is planned and its probes are attached, which may take seconds. Who sends
//! SIGINT or SIGTERM meanwhile wants all of it to end now, and does: nothing has been started yet.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    thread::JoinHandle,
};

use anyhow::{Context as _, anyhow};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::{
        signal::{Signal, kill},
        signalfd::SignalFd,
        wait::waitpid,
    },
    unistd::{Pid, pipe2},
};

/// Waits for signals on a thread of its own.
pub struct Watch {
    /// Its other end sees the end of file when the gate is about to open.
    until: OwnedFd,
    thread: JoinHandle<anyhow::Result<SignalFd>>,
}

impl Watch {
    /// From here on a signal that would end a process ends this one, and the child at the gate.
    pub fn start(signals: SignalFd, child: Pid) -> anyhow::Result<Self> {
        let (opening, until) = pipe2(OFlag::O_CLOEXEC).context("making a pipe")?;
        let thread = std::thread::Builder::new()
            .name("strobe-gate".to_owned())
            .spawn(move || watch(signals, &opening, child))
            .context("starting the thread that watches the gate")?;
        Ok(Self { until, thread })
    }

    /// From here on signals are the command's. One that came too late to be seen is still in the descriptor.
    pub fn stop(self) -> anyhow::Result<SignalFd> {
        drop(self.until);
        self.thread.join().map_err(|_| anyhow!("the thread that watches the gate panicked"))?
    }
}

fn watch(signals: SignalFd, opening: &OwnedFd, child: Pid) -> anyhow::Result<SignalFd> {
    loop {
        let readable = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut ready = [readable(signals.as_raw_fd()), readable(opening.as_raw_fd())];
        // SAFETY: two descriptors that are ours, in an array of two.
        match Errno::result(unsafe { libc::poll(ready.as_mut_ptr(), 2, -1) }) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting for signals"),
        }
        let [_, opens] = ready;
        if opens.revents != 0 {
            return Ok(signals);
        }
        if let Some(info) = signals.read_signal().context("reading a signal")? {
            end_by(i32::try_from(info.ssi_signo).context("a signal's number")?, child);
        }
    }
}

/// Ends everything, if the signal ends a process that does not handle it.
fn end_by(signal: i32, child: Pid) {
    let harmless = signal == libc::SIGWINCH || is_ignored(signal);
    let (Ok(signal), false) = (Signal::try_from(signal), harmless) else { return };
    // It may have got the signal, too.
    let _ = kill(child, Signal::SIGKILL);
    let _ = waitpid(child, None);
    eprintln!("strobe exec: {signal} came before the command was started; it is not started");
    // SAFETY: leaves at once; what other threads have begun in the kernel goes with their descriptors.
    unsafe { libc::_exit(128 + signal as i32) }
}

/// Was strobe started with this signal ignored, as under nohup(1)?
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only; the buffer is ours, and all zeros are a value of it.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}
