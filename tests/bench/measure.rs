//! What the kernel knows of a process: its time on a processor, its memory, its BPF programs and maps.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, Result};

/// Time on a processor of all threads, in nanoseconds (`/proc/PID/task/*/schedstat`, first field).
pub fn cpu_ns(pid: u32) -> Result<u64> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid}"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let field = text.split_whitespace().next().context("schedstat is empty")?;
        total += field.parse::<u64>().context("schedstat")?;
    }
    Ok(total)
}

/// Resident set, in KiB.
pub fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.split_whitespace().next().context("VmRSS is empty")?.parse().context("VmRSS")
}

/// A BPF program as its descriptor shows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Runs {
    /// How often it ran.
    pub count: u64,
    /// In all, nanoseconds.
    pub time_ns: u64,
}

impl Runs {
    /// Of one run, nanoseconds.
    pub fn each_ns(&self) -> f64 {
        self.time_ns as f64 / self.count.max(1) as f64
    }
}

/// The uprobe programs that a process holds, by id, and the kernel memory of its maps in bytes.
pub fn bpf(pid: u32) -> Result<(BTreeMap<u64, Runs>, u64)> {
    /// `BPF_PROG_TYPE_KPROBE` (include/uapi/linux/bpf.h).
    const KPROBE: u64 = 2;
    let mut programs = BTreeMap::new();
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().parse::<u64>().ok()
        };
        if field("prog_type:") == Some(KPROBE)
            && let (Some(id), Some(count), Some(time_ns)) =
                (field("prog_id:"), field("run_cnt:"), field("run_time_ns:"))
        {
            programs.insert(id, Runs { count, time_ns });
        }
        if let (Some(id), Some(bytes)) = (field("map_id:"), field("memlock:")) {
            maps.insert(id, bytes);
        }
    }
    Ok((programs, maps.values().sum()))
}

/// How many instructions the verifier followed for each uprobe program that a process holds, in the order of loading.
/// `verified_insns` is there since Linux 5.16.
pub fn verified(pid: u32) -> Result<Vec<u64>> {
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse::<u64>().ok();
        if let (Some(id), Some(verified)) = (field("prog_id:"), field("verified_insns:")) {
            programs.insert(id, verified);
        }
    }
    Ok(programs.into_values().collect())
}

/// How often each program of a process ran since `before`, and for how long; those that did not are left out.
pub fn runs_since(before: &BTreeMap<u64, Runs>, pid: u32) -> Result<Vec<Runs>> {
    let (after, _) = bpf(pid)?;
    let since = after.iter().map(|(id, now)| {
        let then = before.get(id).copied().unwrap_or_default();
        Runs { count: now.count - then.count, time_ns: now.time_ns - then.time_ns }
    });
    Ok(since.filter(|runs| runs.count > 0).collect())
}

/// Turns the kernel's counting of BPF runs on, and off again when dropped.
pub struct BpfStatistics;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

impl BpfStatistics {
    pub fn on() -> Result<Self> {
        fs::write(SWITCH, "1").context(SWITCH)?;
        Ok(Self)
    }
}

impl Drop for BpfStatistics {
    fn drop(&mut self) {
        if let Err(error) = fs::write(SWITCH, "0") {
            eprintln!("bench: {SWITCH}: {error}");
        }
    }
}

/// Binds a process (0: this one) to a processor.
pub fn pin(pid: u32, processor: usize) -> Result<()> {
    // SAFETY: a zeroed cpu_set_t is an empty set; the macros write within it.
    let status = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(pid.cast_signed(), size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if status != 0 {
        return Err(std::io::Error::last_os_error()).context("sched_setaffinity");
    }
    Ok(())
}

/// Waits until a process has used next to no time for a while: background work of the start is over.
pub fn settle(pid: u32) -> Result<()> {
    for _ in 0..50 {
        let before = cpu_ns(pid)?;
        std::thread::sleep(Duration::from_millis(50));
        if cpu_ns(pid)?.saturating_sub(before) < 500_000 {
            return Ok(());
        }
    }
    Ok(())
}
