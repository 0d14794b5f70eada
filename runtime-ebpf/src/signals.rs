//! Signals that reach the command of `strobe exec`, as `signal_generate` sees them, and who that command is.

/// The command, in an array of one entry. The agent writes the cookie and sends a signal that carries it; the program takes
/// the task that gets it for the command's. So nobody needs the command's process id in the initial PID namespace, nor where
/// this kernel keeps it in a task.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Command {
    /// What the agent's own signal carries; 0 once it has been seen.
    pub cookie: u64,
    /// The address of the kernel's `task_struct` of the command's first thread; 0: not known yet.
    pub task: u64,
    /// The command's thread group id in the initial PID namespace; 0 until it has executed its program.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

/// The command has got a signal.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalEvent {
    /// CLOCK_MONOTONIC.
    pub time_ns: u64,
    /// The signal's number.
    pub signal: u32,
    /// `si_code`: `SI_USER`, `SI_KERNEL` and so on.
    pub code: i32,
    /// `si_pid`: the sender as the command sees it; 0 for the kernel and for processes outside its PID namespace.
    pub sender: u32,
    /// Zero.
    pub reserved: u32,
}

/// The signal that carries the cookie (SIGURG): nobody who has not asked for it is told of it.
pub const COOKIE_SIGNAL: u32 = 23;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_both_sides_agreed_on() {
        assert_eq!((size_of::<Command>(), align_of::<Command>()), (24, 8));
        assert_eq!((size_of::<SignalEvent>(), align_of::<SignalEvent>()), (24, 8));
    }
}
