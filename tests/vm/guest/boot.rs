//! What process 1 does to the machine: file systems, modules, loopback, the console, the kernel's log, power.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::verdict::{MARK, Message};

/// Where modules lie, in the order in which they are loaded.
const MODULES: &str = "/modules";

/// What a healthy kernel does not write into its log (lib/bug.c, kernel/panic.c, kernel/rcu/tree_stall.h, mm/slub.c).
const COMPLAINTS: [&str; 8] = [
    "WARNING:",
    "BUG:",
    "Oops",
    "rcu_sched",
    "rcu_preempt",
    "hung task",
    "Call Trace",
    "possible recursive locking",
];

/// Everything that the cases rely on.
pub fn set_up() -> Result<()> {
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp")] {
        mount(kind, kind, at, "")?;
    }
    // Absent where the kernel was built without them; the cases that read them say so.
    for (kind, at) in [("debugfs", "/sys/kernel/debug"), ("securityfs", "/sys/kernel/security")] {
        if fs::exists(at)? {
            mount(kind, kind, at, "")?;
        }
    }
    quiet_console()?;
    loopback_up()?;
    load_modules()
}

/// Mounts a file system, making its folder.
pub fn mount(source: &str, kind: &str, at: &str, options: &str) -> Result<()> {
    fs::create_dir_all(at).with_context(|| format!("create {at}"))?;
    let [source, kind, options] = [source, kind, options].map(CString::new);
    let (source, fstype, options, target) = (source?, kind?, options?, CString::new(at)?);
    // SAFETY: four strings that live until the call returns, and no flags.
    let done = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            fstype.as_ptr(),
            0,
            options.as_ptr().cast::<libc::c_void>(),
        )
    };
    done_or(done, || format!("mount {fstype:?} at {at} with {options:?}"))
}

/// The kernel goes on logging, but shows on the console only what it cannot survive (syslog(2), `SYSLOG_ACTION_CONSOLE_LEVEL`).
fn quiet_console() -> Result<()> {
    const CONSOLE_LEVEL: libc::c_int = 8;
    // SAFETY: this action takes no buffer.
    let done = unsafe { libc::klogctl(CONSOLE_LEVEL, std::ptr::null_mut(), 1) };
    done_or(done, || "set the console's log level".to_owned())
}

/// `ip link set lo up`.
fn loopback_up() -> Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").context("a socket")?;
    let name: [libc::c_char; libc::IFNAMSIZ] = {
        let mut name = [0; libc::IFNAMSIZ];
        for (to, from) in name.iter_mut().zip(*b"lo") {
            *to = from.cast_signed() as libc::c_char;
        }
        name
    };
    let flags =
        libc::__c_anonymous_ifr_ifru { ifru_flags: (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short };
    let request = libc::ifreq { ifr_name: name, ifr_ifru: flags };
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which `request` is, and keeps nothing of it.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    done_or(done, || "bring loopback up".to_owned())
}

fn load_modules() -> Result<()> {
    if !fs::exists(MODULES)? {
        return Ok(());
    }
    let mut modules: Vec<PathBuf> =
        fs::read_dir(MODULES)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    modules.sort();
    for module in modules {
        let file = File::open(&module).with_context(|| format!("open {}", module.display()))?;
        // SAFETY: a descriptor, an empty string, no flags.
        let done = unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) };
        done_or(done, || format!("load {}", module.display()))?;
    }
    Ok(())
}

fn done_or<T: Into<i64>>(done: T, what: impl FnOnce() -> String) -> Result<()> {
    let error = io::Error::last_os_error();
    if done.into() < 0 { Err(error).with_context(what) } else { Ok(()) }
}

/// The running kernel's release and version.
pub fn kernel() -> Result<(String, String)> {
    let read = |name: &str| -> Result<String> {
        Ok(fs::read_to_string(format!("/proc/sys/kernel/{name}"))?.trim().to_owned())
    };
    Ok((read("osrelease")?, read("version")?))
}

/// Major and minor of the running kernel.
pub fn kernel_version() -> Result<(u32, u32, u32)> {
    let (release, version) = kernel()?;
    // Debian's release has the ABI's number in place of the patch's (5.10.0-32); its version has the true one.
    let text =
        version.split_whitespace().rfind(|w| w.starts_with(|c: char| c.is_ascii_digit()) && w.contains('.'));
    let text = version.split("Debian ").nth(1).or(text).unwrap_or(&release);
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    Ok((next(), next(), next()))
}

/// The cases that the host asks for, on the kernel's command line.
pub fn wanted_cases() -> Result<Vec<String>> {
    Ok(said("strobe_cases=")?.split(',').map(str::to_owned).collect())
}

/// What the kernel's command line says behind this.
pub fn said(name: &str) -> Result<String> {
    let line = fs::read_to_string("/proc/cmdline").context("read /proc/cmdline")?;
    let said = line.split_whitespace().find_map(|word| word.strip_prefix(name)).map(str::to_owned);
    said.with_context(|| format!("no {name} on the kernel's command line"))
}

/// Writes a message in one piece, with a line end on both sides: the kernel may have left its own line unfinished.
pub fn say(message: &Message) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("\n{MARK}{}\n", serde_json::to_string(message)?).as_bytes())?;
    Ok(out.flush()?)
}

/// Kills and reaps every process but this one.
pub fn end_everything() {
    // SAFETY: integers. From process 1, -1 means all others; ESRCH means that there are none.
    unsafe { libc::kill(-1, libc::SIGKILL) };
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0 {}
}

/// How many pages, or huge pages put together from small ones, the kernel has moved since it booted.
pub fn pages_moved() -> Result<u64> {
    let counters = fs::read_to_string("/proc/vmstat").context("read /proc/vmstat")?;
    let of = |name: &str| -> Result<u64> {
        let line = counters.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.with_context(|| format!("{name} is not in /proc/vmstat"))?
            .parse()
            .with_context(|| format!("{name} in /proc/vmstat"))
    };
    Ok(of("pgmigrate_success")? + of("thp_collapse_alloc")?)
}

/// Fails if the kernel has complained since it booted.
pub fn complaints() -> Result<String> {
    let log = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
    let mut log = log.context("open /dev/kmsg")?;
    let mut record = [0; 8192];
    let mut found = Vec::new();
    let mut lines = 0_u32;
    loop {
        match log.read(&mut record) {
            Ok(size) => {
                lines += 1;
                let text = String::from_utf8_lossy(record.get(..size).unwrap_or_default()).into_owned();
                if COMPLAINTS.iter().any(|words| text.contains(words)) {
                    found.push(text);
                }
            }
            // The buffer has gone round meanwhile; the next read goes on where it begins now.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error).context("read /dev/kmsg"),
        }
    }
    ensure!(found.is_empty(), "the kernel complained:\n{}", found.concat());
    Ok(format!("{lines} lines, no complaint"))
}

/// The end. Returns never; process 1 that returned would be a panic.
pub fn power_off() -> ! {
    // SAFETY: no arguments in memory. `sync` is not needed: nothing here is kept.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
    loop {
        std::thread::park();
    }
}
