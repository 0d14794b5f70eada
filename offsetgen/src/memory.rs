//! How many compilers and linkers run at a time, and how much memory each may take before it collects garbage.
//!
//! `go build` starts several for each compilation. Together they keep to what the user gives them, else to half of what this
//! machine (or its control group) has: so many compilations at a time as that allows, and no more than were asked for.

use std::fs;

/// What a compiler or linker is given at least: half of [`MOST`], a choice.
pub const LEAST: u64 = 512;
/// And at most: what all of the committed data was compiled with. The largest package (go-redis v9) was seen to fill it.
const MOST: u64 = 1024;

/// The bounds of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Compilations at a time.
    pub jobs: usize,
    /// Processes that each of them starts at a time (`go build -p`).
    pub processes: usize,
    /// MiB that each of those may take before it collects garbage (`GOMEMLIMIT`).
    pub limit: u64,
}

impl Bounds {
    /// For so many compilations at a time, if they fit into so many MiB.
    pub fn new(jobs: Option<usize>, memory: Option<u64>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let memory = memory.or_else(|| Some(machine()? / 2));
        Self::of(processors, jobs.unwrap_or(processors), memory)
    }

    /// What is not known bounds nothing.
    fn of(processors: usize, jobs: usize, memory: Option<u64>) -> Self {
        // While one reads, another computes.
        let useful = processors.max(jobs) * 2;
        let fitting = memory.map_or(useful, |memory| usize::try_from(memory / LEAST).unwrap_or(useful));
        let all = fitting.clamp(1, useful);
        let jobs = jobs.clamp(1, all);
        let share = memory.map_or(MOST, |memory| memory / all as u64);
        Self { jobs, processes: all / jobs, limit: share.clamp(LEAST / 2, MOST) }
    }
}

/// MiB of this machine, or of the control group that this process is in.
fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let whole = line.split_whitespace().next()?.parse::<u64>().ok()? / 1024;
    // `max` is no number.
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let group = group.and_then(|text| text.trim().parse::<u64>().ok()).map(|bytes| bytes >> 20);
    Some(group.map_or(whole, |group| group.min(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits() {
        let bounds = |jobs, processes, limit| Bounds { jobs, processes, limit };
        for (processors, jobs, memory, expected) in [
            (2, 2, Some(12 << 10), bounds(2, 2, 1024)),
            (16, 16, Some(16 << 10), bounds(16, 2, 512)),
            (16, 16, Some(4 << 10), bounds(8, 1, 512)),
            (16, 1, Some(16 << 10), bounds(1, 32, 512)),
            (2, 8, Some(64 << 10), bounds(8, 2, 1024)),
            (4, 4, Some(100), bounds(1, 1, 256)),
            (2, 2, None, bounds(2, 2, 1024)),
        ] {
            assert_eq!(Bounds::of(processors, jobs, memory), expected, "{processors} {jobs} {memory:?}");
        }
        assert!(machine().is_some_and(|mib| mib > 256));
    }
}
