//! Threads that must not wait behind the programs that strobe watches: guard, whose delay a writer or an unmount would wait
//! for, and drain, behind whom the record ring fills up. Both do little, and only what hits and processes make necessary.

use tracing::debug;

/// As nice(2) counts: about nine times the share of an ordinary thread where processors are short, and none of its own.
const NICE: libc::c_int = -10;

/// Raises the running thread's priority, and that of the threads and processes that it will start. Without CAP_SYS_NICE it
/// stays what it was, which shows only on a machine that is short of processors.
pub fn raise(thread: &str) {
    // SAFETY: plain numbers; 0 is the calling thread (setpriority(2), "C library/kernel differences").
    let failed = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } != 0;
    if failed {
        let error = std::io::Error::last_os_error();
        debug!("{thread} runs at ordinary priority (CAP_SYS_NICE would give it more): {error}");
    }
}
