//! What eBPF programs call in the kernel, counted by the processors: a breakpoint on each helper's first instruction. No program
//! is changed for it; nothing else may run eBPF programs meanwhile. The kernel allows breakpoints only where it allows kprobes:
//! without `CONFIG_KPROBES` that is nowhere (EINVAL).

use std::{
    fs, io,
    os::fd::{FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};
use aya_obj::generated::perf_event_attr;

/// Reads of the target's memory.
const READ: &str = "bpf_probe_read_user";

/// The helpers that our programs call, by the kernel's names. Where the verifier inlines a helper (look-ups in arrays) there
/// is no call; of a look-up in a hash table it leaves a call of the inner function.
const HELPERS: [&str; 10] = [
    READ,
    "__htab_map_lookup_elem",
    "htab_map_update_elem",
    "htab_map_delete_elem",
    "bpf_ktime_get_ns",
    "bpf_get_current_pid_tgid",
    "bpf_ringbuf_reserve",
    "bpf_ringbuf_submit",
    "bpf_ringbuf_discard",
    "bpf_ringbuf_query",
];

/// Breakpoints that a processor has (amd64; arm64 has at least two).
const AT_ONCE: usize = if cfg!(target_arch = "x86_64") { 4 } else { 2 };

/// How often each helper is called on these processors during `run`, which is called several times.
pub fn count(processors: &[usize], mut run: impl FnMut() -> Result<()>) -> Result<Vec<(&'static str, u64)>> {
    let symbols = fs::read_to_string("/proc/kallsyms").context("/proc/kallsyms")?;
    let address = |name: &str| -> Result<u64> {
        let line = symbols.lines().find(|line| line.split_whitespace().nth(2) == Some(name));
        let line = line.with_context(|| format!("/proc/kallsyms has no {name}"))?;
        let hex = line.split_whitespace().next().unwrap_or_default();
        u64::from_str_radix(hex, 16).with_context(|| format!("/proc/kallsyms: {hex}"))
    };
    let mut counts = Vec::new();
    for some in HELPERS.chunks(AT_ONCE) {
        let mut open = Vec::new();
        for name in some {
            let address = address(name)?;
            let on = |processor: &usize| breakpoint(*processor, address);
            let events: io::Result<Vec<_>> = processors.iter().map(on).collect();
            open.push((*name, events.with_context(|| format!("a breakpoint on {name}"))?));
        }
        run()?;
        for (name, events) in open {
            counts.push((name, events.iter().map(value).sum::<Result<u64>>()?));
        }
    }
    Ok(counts)
}

/// Counts executions of an instruction of the kernel on one processor.
fn breakpoint(processor: usize, address: u64) -> io::Result<OwnedFd> {
    /// include/uapi/linux/perf_event.h and hw_breakpoint.h.
    const PERF_TYPE_BREAKPOINT: u32 = 5;
    const HW_BREAKPOINT_X: u32 = 4;
    const PERF_FLAG_FD_CLOEXEC: u64 = 8;
    // SAFETY: plain integers, of which zero is a value.
    let mut attr: perf_event_attr = unsafe { std::mem::zeroed() };
    attr.size = u32::try_from(size_of::<perf_event_attr>()).expect("a small struct");
    attr.type_ = PERF_TYPE_BREAKPOINT;
    attr.bp_type = HW_BREAKPOINT_X;
    attr.__bindgen_anon_3.bp_addr = address;
    // What the architecture wants of a breakpoint on an instruction: the size of a word, or of an instruction.
    attr.__bindgen_anon_4.bp_len = if cfg!(target_arch = "x86_64") { 8 } else { 4 };
    attr.__bindgen_anon_1.sample_period = 1;
    let processor = i32::try_from(processor).expect("a small number");
    // SAFETY: the kernel reads `size` bytes of the attribute.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, &raw const attr, -1, processor, -1, PERF_FLAG_FD_CLOEXEC)
    };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the descriptor was just opened and is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn value(event: &OwnedFd) -> Result<u64> {
    let mut bytes = [0; 8];
    io::Read::read_exact(&mut fs::File::from(event.try_clone()?), &mut bytes)
        .context("reading a breakpoint's count")?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Calls per request: all of them, and reads of the target's memory.
pub fn per_request(requests: usize, calls: &[(&'static str, u64)]) -> (f64, f64) {
    let sum = |count: &dyn Fn(&str) -> bool| {
        let counted = calls.iter().filter(|(name, _)| count(name)).map(|(_, count)| count);
        counted.sum::<u64>() as f64 / requests as f64
    };
    (sum(&|_| true), sum(&|name| name == READ))
}

/// Prints them.
pub fn print(case: &str, requests: usize, calls: &[(&'static str, u64)]) {
    let (all, reads) = per_request(requests, calls);
    println!("{case}: {all:.2} helper calls per request, {reads:.2} of them reads of the target's memory");
    let called = calls.iter().filter(|(_, count)| *count > 0);
    let each = called.map(|(name, count)| format!("{name} {:.2}", *count as f64 / requests as f64));
    println!("  {}", each.collect::<Vec<_>>().join(", "));
}
