//! Trying things: each function does a little of what tracing does, and takes it back.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit},
};

use super::trial::Trial;
use crate::{
    guard::keeper::probe,
    programs::{Programs, ProgramsError, multi_support},
};

/// The kernel's own type data.
pub const BTF: &str = "/sys/kernel/btf/vmlinux";
/// Lockdown's mode, the one in brackets of all (Documentation/security, `CONFIG_SECURITY_LOCKDOWN_LSM`).
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
/// The kernel's switchboard for uprobes as perf events; absent without `CONFIG_UPROBE_EVENTS`.
const UPROBE_PMU: &str = "/sys/bus/event_source/devices/uprobe/type";
/// The program that does nothing; it calls no other, so it loads whichever way the others were loaded.
const FLOOR: &str = "floor";
/// A name that procfs never has.
const NO_SUCH_FILE: &str = "/proc/self/no-such-file";
/// `PERF_ATTR_SIZE_VER1`: `struct perf_event_attr` up to `config2` (include/uapi/linux/perf_event.h).
const PERF_ATTR_BYTES: u64 = 72;
/// The same file: the descriptor is closed on exec.
const PERF_FLAG_FD_CLOEXEC: u64 = 1 << 3;

/// Whether the kernel is in lockdown's stricter mode, in which programs may not read its memory. Without the file there is no lockdown.
pub fn is_confidential() -> bool {
    fs::read_to_string(LOCKDOWN).is_ok_and(|modes| modes.contains("[confidentiality]"))
}

/// Asks for a uprobe in a file that does not exist. The kernel looks at privileges first, so an answer about the file means
/// that a real one would be made; and nothing has to be taken back, which takes tenths of a second.
pub fn uprobe() -> Trial {
    let kind = match fs::read_to_string(UPROBE_PMU) {
        Ok(text) => text.trim().parse::<u64>().map_err(|error| format!("{UPROBE_PMU}: {error}")),
        Err(error) => Err(format!("{UPROBE_PMU}: {error}")),
    };
    let (kind, path) = match (kind, CString::new(NO_SUCH_FILE)) {
        (Ok(kind), Ok(path)) => (kind, path),
        (Err(why), _) => return Trial::Impossible(why),
        (_, Err(error)) => return Trial::Impossible(error.to_string()),
    };
    // type and size, config, sample_period, sample_type, read_format, flags, wakeup and bp_type, config1 (the path), config2.
    let attr = [kind | PERF_ATTR_BYTES << 32, 0, 0, 0, 0, 0, 0, path.as_ptr().addr() as u64, 0];
    // SAFETY: the attributes are as long as they say, and path outlives the call.
    let result =
        unsafe { libc::syscall(libc::SYS_perf_event_open, attr.as_ptr(), -1, 0, -1, PERF_FLAG_FD_CLOEXEC) };
    match Errno::result(result) {
        Err(Errno::ENOENT) => Trial::Works,
        Err(errno) => Trial::Refused(errno),
        Ok(fd) => {
            let Ok(fd) = i32::try_from(fd) else { return Trial::Works };
            // SAFETY: the kernel has just made it, for us.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
            Trial::Works
        }
    }
}

/// Does what comes before a `uprobe_multi` link, up to the file.
pub fn uprobe_multi() -> Trial {
    of(multi_support())
}

/// Follows the link to a process's executable, which the kernel allows to whom it allows to trace the process.
pub fn process(pid: u32) -> Trial {
    of(fs::metadata(format!("/proc/{pid}/exe")))
}

/// The same with all processes, up to the first that is closed to us.
pub fn processes() -> Trial {
    match pids() {
        // Some are gone by now, and the kernel's threads execute no file.
        Ok(pids) => pids.map(process).find(Trial::denied).unwrap_or(Trial::Works),
        Err(impossible) => impossible,
    }
}

fn pids() -> Result<impl Iterator<Item = u32>, Trial> {
    let entries = fs::read_dir("/proc");
    let entries = entries.map_err(|error| Trial::Impossible(format!("listing /proc: {error}")))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}

/// Loads a program that calls `bpf_probe_write_user`.
pub fn writing_probes() -> Result<bool, aya::programs::ProgramError> {
    use aya::{
        programs::ProgramType,
        sys::{BpfHelper, is_helper_supported},
    };
    is_helper_supported(ProgramType::KProbe, BpfHelper::BPF_FUNC_probe_write_user)
}

/// Opens the memory of other processes for writing, up to one that may be, and writes nothing.
pub fn memory() -> Trial {
    let open = |pid| of(OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem")));
    let own = std::process::id();
    let mut refused = None;
    match pids() {
        Ok(pids) => {
            for trial in pids.filter(|pid| *pid != own).map(open) {
                if trial.works() {
                    return trial;
                }
                refused = refused.or(trial.denied().then_some(trial));
            }
            refused.unwrap_or_else(|| Trial::Impossible("there is no other process".to_owned()))
        }
        Err(impossible) => impossible,
    }
}

fn of<T>(result: io::Result<T>) -> Trial {
    match result {
        Ok(_) => Trial::Works,
        Err(error) => match error.raw_os_error() {
            Some(errno) => Trial::Refused(Errno::from_raw(errno)),
            None => Trial::Impossible(error.to_string()),
        },
    }
}

/// Takes a read lease on strobe's own file and gives it back (fcntl(2), `F_SETLEASE`).
pub fn lease() -> Trial {
    let file = match File::open("/proc/self/exe") {
        Ok(file) => file,
        Err(error) => return Trial::Impossible(format!("opening /proc/self/exe: {error}")),
    };
    // SAFETY: plain integers on a descriptor of our own; it is closed, and the lease with it, at the end.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
    match Errno::result(result) {
        Ok(_) => Trial::Works,
        Err(errno) => Trial::Refused(errno),
    }
}

/// Nobody calls it: the place for a probe that disturbs nobody.
#[inline(never)]
extern "C" fn nobody_calls_this(value: u64) -> u64 {
    std::hint::black_box(value).rotate_left(7)
}

/// Attaches a program that does nothing to a function of strobe's own file, by the way that the keeper attaches, and detaches it.
pub fn attach(programs: &mut Programs) -> Result<Trial, ProgramsError> {
    let address = (nobody_calls_this as extern "C" fn(u64) -> u64 as *const ()).addr() as u64;
    let offset = match fs::read_to_string("/proc/self/maps") {
        Ok(maps) => file_offset(&maps, address),
        Err(error) => return Ok(Trial::Impossible(format!("reading /proc/self/maps: {error}"))),
    };
    let Some(offset) = offset else {
        return Ok(Trial::Impossible(format!("no mapping of {address:#x} in /proc/self/maps")));
    };
    programs.load_programs(&[FLOOR])?;
    let (program, multi) = (programs.descriptor(FLOOR)?, programs.is_multi());
    let probed = File::open("/proc/self/exe").and_then(|file| probe_in(&file, offset, program, multi));
    Ok(of(probed))
}

/// The probe goes when the descriptor is closed.
fn probe_in(file: &File, offset: u64, program: BorrowedFd<'_>, multi: bool) -> io::Result<OwnedFd> {
    if multi {
        probe::multi(program, file.as_fd(), &[offset])
    } else {
        probe::perf(probe::perf_type()?, program, file.as_fd(), offset)
    }
}

/// `START-END PERMS OFFSET DEVICE INODE PATH`: where in its file an address lies.
fn file_offset(maps: &str, address: u64) -> Option<u64> {
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    maps.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let (start, end, offset) = (hex(start)?, hex(end)?, hex(words.nth(1)?)?);
        (start..end).contains(&address).then(|| address - start + offset)
    })
}

/// Does the kernel have a function or type of that name, by its own type data?
pub fn kernel_has(name: &str) -> bool {
    fs::read(BTF).is_ok_and(|btf| has_name(&btf, name))
}

/// BTF ends in its strings, each ended by a NUL.
pub(super) fn has_name(btf: &[u8], name: &str) -> bool {
    btf.split(|byte| *byte == 0).any(|string| string == name.as_bytes())
}

/// Only the first user namespace maps all ids onto themselves.
pub fn in_user_namespace() -> anyhow::Result<bool> {
    let map = match fs::read_to_string("/proc/self/uid_map") {
        Ok(map) => map,
        // A kernel without user namespaces.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).context("reading /proc/self/uid_map"),
    };
    Ok(map.split_whitespace().ne(["0", "0", "4294967295"]))
}

/// Raises RLIMIT_MEMLOCK as far as this process may, which matters before Linux 5.11; says how far that was.
pub fn raise_memlock() -> anyhow::Result<u64> {
    if setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).is_ok() {
        return Ok(RLIM_INFINITY);
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_MEMLOCK).context("getrlimit(RLIMIT_MEMLOCK)")?;
    setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard).context("setrlimit(RLIMIT_MEMLOCK)")?;
    Ok(hard)
}

/// `kernel.perf_event_paranoid`; where it cannot be read, what the kernel itself begins with.
pub fn perf_event_paranoid() -> i32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_their_files() {
        let maps = "55d0a000-55d0b000 r--p 00000000 08:01 42 /bin/strobe\n\
                    55d0b000-55d0d000 r-xp 00001000 08:01 42 /bin/strobe\n";
        assert_eq!(file_offset(maps, 0x55d0_b123), Some(0x1123));
        assert_eq!(file_offset(maps, 0x55d0_d000), None);
        assert_eq!(file_offset("x\n1-2", 1), None);
    }

    #[test]
    fn this_process_may_be_looked_at() {
        assert_eq!(process(std::process::id()), Trial::Works);
        assert_eq!(process(u32::MAX), Trial::Refused(Errno::ENOENT));
        assert_eq!(nobody_calls_this(1), 128);
    }
}
