//! Probes by raw system calls: nothing but a program's descriptor and a file's is needed, and what is made is one descriptor.
//!
//! | | kernel | one descriptor holds | privilege |
//! |---|---|---|---|
//! | perf event | 4.17 | one probe | CAP_PERFMON and CAP_BPF; CAP_SYS_ADMIN since CVE-2025-38466 |
//! | `uprobe_multi` link | 6.6 | all probes of one program in one file | CAP_PERFMON and CAP_BPF |

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use crate::files;

/// `BPF_LINK_CREATE` of `enum bpf_cmd` (include/uapi/linux/bpf.h).
const BPF_LINK_CREATE: libc::c_long = 28;
/// `BPF_TRACE_UPROBE_MULTI` of `enum bpf_attach_type`; Linux 6.6.
pub const BPF_TRACE_UPROBE_MULTI: u32 = 48;
/// `_IO('$', 0)` and `_IOW('$', 8, __u32)` (include/uapi/linux/perf_event.h).
const PERF_EVENT_IOC_ENABLE: libc::Ioctl = 0x2400;
const PERF_EVENT_IOC_SET_BPF: libc::Ioctl = 0x4004_2408;
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;
/// The number of the `uprobe` event source, which the kernel gives out at boot.
const UPROBE_TYPE: &str = "/sys/bus/event_source/devices/uprobe/type";

/// The head of `struct perf_event_attr` (include/uapi/linux/perf_event.h), up to what uprobes use; `PERF_ATTR_SIZE_VER1`.
#[repr(C)]
#[derive(Default)]
struct PerfEventAttr {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    /// The path of the file.
    config1: u64,
    /// The offset in it.
    config2: u64,
}

/// `link_create` of `union bpf_attr`, as `uprobe_multi` uses it.
#[repr(C)]
#[derive(Default)]
struct UprobeMultiAttr {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    ref_ctr_offsets: u64,
    cookies: u64,
    cnt: u32,
    multi_flags: u32,
    pid: u32,
    reserved: u32,
}

/// The type of perf events that are uprobes.
pub fn perf_type() -> io::Result<u32> {
    let text = std::fs::read_to_string(UPROBE_TYPE)?;
    text.trim()
        .parse()
        .map_err(|_| io::Error::other(format!("{UPROBE_TYPE} says {text:?}, which is no number")))
}

/// One probe of `program` at `offset`, for all processes of the file.
pub fn perf(kind: u32, program: BorrowedFd<'_>, file: BorrowedFd<'_>, offset: u64) -> io::Result<OwnedFd> {
    let path = path_of(file)?;
    let size = u32::try_from(size_of::<PerfEventAttr>()).map_err(io::Error::other)?;
    let attr =
        PerfEventAttr { kind, size, config1: path.as_ptr() as u64, config2: offset, ..Default::default() };
    // SAFETY: the attributes and the path live until the call returns; pid -1 and cpu 0 mean everybody, no group.
    let fd =
        unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC) };
    let event = owned(fd)?;
    // SAFETY: the argument is a descriptor, which the kernel looks up.
    check(unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_SET_BPF, program.as_raw_fd()) })?;
    // SAFETY: no argument is read.
    check(unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_ENABLE, 0) })?;
    Ok(event)
}

/// All probes of `program` in the file. It must have been loaded for [`BPF_TRACE_UPROBE_MULTI`].
pub fn multi(program: BorrowedFd<'_>, file: BorrowedFd<'_>, offsets: &[u64]) -> io::Result<OwnedFd> {
    let path = path_of(file)?;
    let attr = UprobeMultiAttr {
        prog_fd: u32::try_from(program.as_raw_fd()).map_err(io::Error::other)?,
        attach_type: BPF_TRACE_UPROBE_MULTI,
        path: path.as_ptr() as u64,
        offsets: offsets.as_ptr() as u64,
        cnt: u32::try_from(offsets.len()).map_err(io::Error::other)?,
        ..Default::default()
    };
    // SAFETY: the attributes, the path and the offsets live until the call returns, and `cnt` is the number of offsets.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_LINK_CREATE, &raw const attr, size_of::<UprobeMultiAttr>())
    };
    owned(fd)
}

fn path_of(file: BorrowedFd<'_>) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt as _;
    CString::new(files::descriptor_path(&file).as_os_str().as_bytes()).map_err(io::Error::other)
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the descriptor was made just now and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_are_as_the_kernel_has_them() {
        assert_eq!(size_of::<PerfEventAttr>(), 72); // PERF_ATTR_SIZE_VER1
        assert_eq!(size_of::<UprobeMultiAttr>(), 64);
        assert_eq!(std::mem::offset_of!(UprobeMultiAttr, cnt), 48);
    }
}
