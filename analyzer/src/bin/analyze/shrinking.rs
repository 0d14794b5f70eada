//! A file that another process shortens while it is mapped: a read beyond its new end gets SIGBUS, whose default would end
//! the whole run, other files included. Here such a page becomes zeros; `plan_file` then finds that the file has changed
//! and says so.

use std::sync::atomic::{AtomicUsize, Ordering};

static PAGE_BYTES: AtomicUsize = AtomicUsize::new(4096);

/// Handles SIGBUS from here on, in the whole process.
pub fn survive() -> std::io::Result<()> {
    // SAFETY: plain calls; the handler below is async-signal-safe.
    unsafe {
        if let Ok(bytes) = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)) {
            PAGE_BYTES.store(bytes, Ordering::Relaxed);
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_bus_error as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        if libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) != 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Puts zeros where the file has ended. Only system calls and an atomic load.
extern "C" fn on_bus_error(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands over a valid siginfo. With BUS_ADRERR the page at the address is a file's that has no such
    // page any more: nothing that can still be read is replaced.
    unsafe {
        if (*info).si_code == libc::BUS_ADRERR {
            let bytes = PAGE_BYTES.load(Ordering::Relaxed);
            let page = (*info).si_addr() as usize & !(bytes - 1);
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            if libc::mmap(page as *mut libc::c_void, bytes, libc::PROT_READ, flags, -1, 0) != libc::MAP_FAILED
            {
                return;
            }
        }
        // Anything else ends the process as it would have, when the instruction runs again.
        libc::signal(libc::SIGBUS, libc::SIG_DFL);
    }
}
