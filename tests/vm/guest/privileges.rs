//! The agent as an unprivileged user with exactly the capabilities that docs/strobe.md lists for this kernel, and with each
//! of them missing in turn.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::process::Running;

use crate::bench::{Bench, STROBE, Service, tracing};
use crate::boot;

/// Capabilities by number (include/uapi/linux/capability.h).
const PTRACE: (u32, &str) = (19, "CAP_SYS_PTRACE");
const ADMIN: (u32, &str) = (21, "CAP_SYS_ADMIN");
const RESOURCE: (u32, &str) = (24, "CAP_SYS_RESOURCE");
const PERFMON: (u32, &str) = (38, "CAP_PERFMON");
const BPF: (u32, &str) = (39, "CAP_BPF");

/// The user that the agent runs as, and another one that the service runs as.
const AGENT: u32 = 65_534;
const OTHER: u32 = 1_000;

/// The kernels before `uprobe_multi`, by their series, in which perf uprobes began to want CAP_SYS_ADMIN (CVE-2025-38466).
const PERF_WANTS_ADMIN: [(u32, u32, u32); 3] = [(5, 10, 240), (5, 15, 189), (6, 1, 146)];

/// The first kernel with links that want no perf event.
const UPROBE_MULTI: (u32, u32, u32) = (6, 6, 0);

/// What docs/strobe.md lists for such a kernel: from 6.6 on probes are `uprobe_multi` links, which want no CAP_SYS_ADMIN.
fn documented(kernel: (u32, u32, u32)) -> Vec<(u32, &'static str)> {
    let (major, minor, patch) = kernel;
    let since = PERF_WANTS_ADMIN.iter().find(|(a, b, _)| (*a, *b) == (major, minor));
    let wants_admin = since.is_some_and(|(_, _, first)| patch >= *first);
    let mut wanted = if wants_admin { vec![ADMIN, PTRACE] } else { vec![BPF, PERFMON, PTRACE] };
    // Before 5.11 the memory of BPF maps counts against RLIMIT_MEMLOCK, which is small for everybody but root.
    if (major, minor) < (5, 11) {
        wanted.push(RESOURCE);
    }
    wanted
}

/// Debian's kernels begin with 3, which keeps perf events for CAP_SYS_ADMIN alone.
fn set_paranoid(level: u32) -> Result<()> {
    let path = "/proc/sys/kernel/perf_event_paranoid";
    std::fs::write(path, level.to_string()).with_context(|| format!("write to {path}"))
}

/// The agent traces another user's process.
pub fn exactly_the_documented(version: &str) -> Result<String> {
    let bench = Bench::of_one_library(version)?;
    let service = others_service(&bench)?;
    let capabilities = documented(boot::kernel_version()?);
    set_paranoid(2)?;
    let mut agent = Running::start(&mut agent(&bench, &service, &capabilities))?;
    tracing(&agent, 0)?;
    let due = bench.requests(&service)?;
    bench.settle(&mut agent, &due)?;
    Ok(format!("{} spans with {}", due.len(), names(&capabilities)))
}

/// Exit status 3, and one line that names what is missing.
pub fn each_missing_in_turn(version: &str) -> Result<String> {
    let bench = Bench::of_one_library(version)?;
    let service = others_service(&bench)?;
    let kernel = boot::kernel_version()?;
    let all = documented(kernel);
    set_paranoid(3)?;
    if kernel < UPROBE_MULTI && !all.contains(&ADMIN) {
        let mut agent = Running::start(&mut agent(&bench, &service, &all))?;
        let status = agent.wait(Duration::from_secs(120))?;
        let named = agent.stderr.all().last().is_some_and(|line| line.contains("kernel.perf_event_paranoid"));
        ensure!(
            status.code() == Some(3) && named,
            "with kernel.perf_event_paranoid 3: {status}\n{}",
            agent.output()
        );
    }
    set_paranoid(2)?;
    for missing in &all {
        let rest: Vec<_> = all.iter().filter(|c| *c != missing).copied().collect();
        let mut agent = Running::start(&mut agent(&bench, &service, &rest))?;
        let status = agent.wait(Duration::from_secs(120))?;
        let without = format!("without {}: {status}\n{}", missing.1, agent.output());
        ensure!(status.code() == Some(3), "expected exit status 3 {without}");
        let named = agent.stderr.all().last().is_some_and(|line| line.contains(missing.1));
        ensure!(named, "the last line does not name it {without}");
    }
    Ok(format!("without each of {}: exit status 3, and its name", names(&all)))
}

fn names(capabilities: &[(u32, &'static str)]) -> String {
    capabilities.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}

/// The service as a user who is neither root nor the agent's.
fn others_service(bench: &Bench) -> Result<Service> {
    let mut command = Command::new(&bench.app);
    become_user(&mut command, OTHER, 0);
    Service::started(Running::start(&mut command)?)
}

fn agent(bench: &Bench, service: &Service, capabilities: &[(u32, &str)]) -> Command {
    let mut command = Command::new(STROBE);
    command.args(["run", "--pid", &service.running.pid().to_string()]);
    bench.exporting(&mut command);
    become_user(&mut command, AGENT, capabilities.iter().fold(0, |set, (number, _)| set | 1 << number));
    command
}

/// `struct __user_cap_header_struct` and two of `struct __user_cap_data_struct` (include/uapi/linux/capability.h).
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityWords {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: 64 capabilities, in two words each.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Lets the command begin as this user with these capabilities, ambient ones, so that they outlive the exec.
fn become_user(command: &mut Command, user: u32, capabilities: u64) {
    // SAFETY: system calls on values of this stack frame; nothing is allocated.
    unsafe { command.pre_exec(move || becomes(user, capabilities)) };
}

fn becomes(user: u32, capabilities: u64) -> io::Result<()> {
    let word =
        |set: u64| CapabilityWords { effective: set as u32, permitted: set as u32, inheritable: set as u32 };
    let header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let words = [word(capabilities & u64::from(u32::MAX)), word(capabilities >> 32)];
    // SAFETY: integers.
    check(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) })?;
    // SAFETY: an empty list may be null.
    check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: integers.
    check(unsafe { libc::setresgid(user, user, user) })?;
    // SAFETY: integers.
    check(unsafe { libc::setresuid(user, user, user) })?;
    // SAFETY: a header and two words, as version 3 wants them.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr()) };
    check(if done == 0 { 0 } else { -1 })?;
    for number in (0..64).filter(|number| capabilities >> number & 1 == 1) {
        // SAFETY: integers.
        check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, number, 0, 0) })?;
    }
    Ok(())
}

fn check(done: libc::c_int) -> io::Result<()> {
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
