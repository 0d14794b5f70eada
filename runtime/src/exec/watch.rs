//! The kernel's side of passing signals on: which signals does the command get?
//!
//! The command is found by a signal that carries a cookie and reaches it while it waits at its gate: so neither its process
//! id in the initial PID namespace nor the layout of a task has to be known. Kernel 4.17 (raw tracepoints).

use anyhow::{Context as _, bail, ensure};
use aya::{
    Pod,
    maps::{Array, MapData, RingBuf},
    programs::{ProgramError, RawTracePoint},
};
use nix::{errno::Errno, unistd::Pid};
use runtime_ebpf::signals::{COOKIE_SIGNAL, Command};

use crate::programs::{Programs, Refusal};

const COMMAND: &str = "COMMAND";
const EVENTS: &str = "COMMAND_SIGNALS";
/// Programs, and what they are attached to.
const PROGRAMS: [(&str, &str); 2] =
    [("command_signal", "signal_generate"), ("command_exec", "sched_process_exec")];

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Value(Command);

// SAFETY: repr(C), integers only, no padding (its size is pinned by a test in runtime-ebpf).
unsafe impl Pod for Value {}

/// From now on the ring tells which signals `command`, which waits at the gate, gets.
pub fn watch(programs: &mut Programs, command: Pid) -> anyhow::Result<RingBuf<MapData>> {
    let ebpf = programs.ebpf_mut();
    for (name, tracepoint) in PROGRAMS {
        let program = ebpf.program_mut(name).with_context(|| missing("program", name))?;
        let program: &mut RawTracePoint = program.try_into().context(name)?;
        match program.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => {}
            Err(error) => bail!("loading the eBPF program `{name}`: {}", Refusal::from(error)),
        }
        program.attach(tracepoint).with_context(|| format!("attaching the eBPF program `{name}`"))?;
    }
    let map = |name| missing("map", name);
    let entry = ebpf.take_map(COMMAND).with_context(|| map(COMMAND))?;
    let mut entry: Array<MapData, Value> = Array::try_from(entry).context(COMMAND)?;
    let events = ebpf.take_map(EVENTS).with_context(|| map(EVENTS))?;
    let cookie = cookie()?;
    entry.set(0, Value(Command { cookie, ..Command::default() }), 0).context(COMMAND)?;
    send(command, cookie)?;
    let found = entry.get(&0, 0).context(COMMAND)?.0.task != 0;
    ensure!(found, "watching the command's signals: the kernel's side did not see the one sent to it");
    RingBuf::try_from(events).context(EVENTS)
}

fn missing(kind: &str, name: &str) -> String {
    format!("the eBPF object has no {kind} `{name}`: run scripts/build-ebpf")
}

fn cookie() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the buffer is ours and its length is stated.
    let read = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    ensure!(read == 8, "getrandom: {}", std::io::Error::last_os_error());
    // Zero would mean that there is none.
    Ok(u64::from_ne_bytes(bytes) | 1)
}

fn send(command: Pid, cookie: u64) -> anyhow::Result<()> {
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(usize::try_from(cookie)?) };
    let signal = i32::try_from(COOKIE_SIGNAL)?;
    // SAFETY: a system call with plain values; nobody dereferences the pointer that carries the cookie.
    let result = unsafe { libc::sigqueue(command.as_raw(), signal, value) };
    Errno::result(result).context("signalling the command at its gate")?;
    Ok(())
}
