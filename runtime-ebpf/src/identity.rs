//! Who runs: the process id in the initial PID namespace, which is the kernel's own number. The agent maps it to its own view.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;

/// The current process.
#[inline(always)]
pub fn tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}
