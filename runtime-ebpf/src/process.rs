//! Events about processes, from `sched_process_exec`.

/// A process has executed a program.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecEvent {
    /// Its process id as the agent's PID namespace numbers it; 0 if it has none there.
    pub tgid: u32,
    /// Always 0.
    pub reserved: u32,
}
