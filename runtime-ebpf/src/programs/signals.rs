//! Tells `strobe exec` which signals its command gets, so that what reached both by way of their process group or cgroup is
//! not passed on a second time (docs/decisions/exec-signals.md).
//!
//! Raw tracepoints: they need no tracefs. No field of a task is read, so no BTF is needed either. Kernel 4.17.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_get_current_pid_tgid, bpf_get_current_task, bpf_ktime_get_ns, bpf_probe_read_kernel},
    macros::{map, raw_tracepoint},
    maps::{Array, RingBuf},
    programs::RawTracePointContext,
};
use runtime_ebpf::signals::{COOKIE_SIGNAL, Command, SignalEvent};

#[map]
static COMMAND: Array<Command> = Array::with_max_entries(1, 0);

/// 2,048 signals of 32 bytes, header included; a page of the kernels with the largest ones.
#[map]
static COMMAND_SIGNALS: RingBuf = RingBuf::with_byte_size(64 * 1024, 0);

/// `SEND_SIG_PRIV` (include/linux/sched/signal.h): no address, but who sends; 0 is `SEND_SIG_NOINFO`.
const SEND_SIG_PRIV: u64 = 1;
const SI_KERNEL: i32 = 0x80;
const SI_QUEUE: i32 = -1;

/// The head of `struct kernel_siginfo`, which begins as `siginfo_t` of the user-space ABI does.
#[repr(C)]
#[derive(Clone, Copy)]
struct Info {
    signo: i32,
    errno: i32,
    code: i32,
    padding: i32,
    pid: u32,
    uid: u32,
    value: u64,
}

/// `signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)`.
#[raw_tracepoint(tracepoint = "signal_generate")]
pub fn command_signal(ctx: RawTracePointContext) -> i32 {
    let args: *const u64 = ctx.as_ptr().cast();
    // SAFETY: the tracepoint has five arguments.
    let (signal, info, task) = unsafe { (*args as u32, *args.add(1), *args.add(2)) };
    let Some(command) = COMMAND.get_ptr_mut(0) else { return 0 };
    // SAFETY: an array's entry stays where it is.
    let command = unsafe { &mut *command };
    if command.task == task {
        report(signal, info);
    } else if command.cookie != 0 && signal == COOKIE_SIGNAL && carries(info, command.cookie) {
        command.task = task;
        command.cookie = 0;
    }
    0
}

/// The first thread is another task after an exec by another thread than the first.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn command_exec(_ctx: RawTracePointContext) -> i32 {
    let Some(command) = COMMAND.get_ptr_mut(0) else { return 0 };
    // SAFETY: an array's entry stays where it is.
    let command = unsafe { &mut *command };
    if command.task == 0 {
        return 0;
    }
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() };
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if command.tgid == tgid {
        command.task = task;
    } else if command.tgid == 0 && command.task == task {
        command.tgid = tgid;
    }
    0
}

#[inline(always)]
fn read(info: u64) -> Option<Info> {
    if info <= SEND_SIG_PRIV {
        return None;
    }
    // SAFETY: an address of the kernel's; what cannot be read is an error, not a fault.
    unsafe { bpf_probe_read_kernel(info as *const Info) }.ok()
}

#[inline(always)]
fn carries(info: u64, cookie: u64) -> bool {
    matches!(read(info), Some(info) if info.code == SI_QUEUE && info.value == cookie)
}

#[inline(always)]
fn report(signal: u32, info: u64) {
    let (code, sender) = match (info, read(info)) {
        (_, Some(info)) => (info.code, info.pid),
        (SEND_SIG_PRIV, None) => (SI_KERNEL, 0),
        // `SEND_SIG_NOINFO`, which no system call of a user's uses.
        _ => return,
    };
    // SAFETY: no arguments.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    let event = SignalEvent { time_ns, signal, code, sender, reserved: 0 };
    // A full ring loses the event: then the signal is passed on, and the command gets it twice rather than never.
    let _ = COMMAND_SIGNALS.output::<SignalEvent>(event, 0);
}
