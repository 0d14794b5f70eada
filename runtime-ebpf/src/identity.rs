//! Who runs: the process id as the agent numbers it.

use aya_ebpf::{
    bindings::bpf_pidns_info,
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_ns_current_pid_tgid},
};

/// Device of the agent's PID namespace file; set at load when that is not the first one.
#[unsafe(no_mangle)]
static PID_NS_DEV: u64 = 0;
/// Its inode; 0 means the first namespace, whose numbers the kernel gives without asking (field-notes §2).
#[unsafe(no_mangle)]
static PID_NS_INO: u64 = 0;

/// The current process, 0 if it has no number in the agent's PID namespace.
#[inline(always)]
pub fn tgid() -> u32 {
    // SAFETY: statics of this object that the loader sets before the program runs.
    let (dev, ino) =
        unsafe { (core::ptr::read_volatile(&PID_NS_DEV), core::ptr::read_volatile(&PID_NS_INO)) };
    if ino == 0 {
        return (bpf_get_current_pid_tgid() >> 32) as u32;
    }
    let mut info = bpf_pidns_info { pid: 0, tgid: 0 };
    // SAFETY: the buffer is ours and its size is stated. Kernel 5.7.
    let result =
        unsafe { bpf_get_ns_current_pid_tgid(dev, ino, &raw mut info, size_of::<bpf_pidns_info>() as u32) };
    if result == 0 { info.tgid } else { 0 }
}
