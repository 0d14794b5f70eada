//! A site: where a probe can stand, and what it costs there.

/// One instruction for a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Address of the instruction.
    pub vaddr: u64,
    /// Its position in the file.
    pub file_offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it is reached.
    pub when: When,
    /// What the kernel does with it.
    pub cost: Cost,
    /// Behind a call of `runtime.selectgo`: the distance of the first case from the stack pointer.
    pub select_cases: Option<i64>,
}

/// When a site is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Once per call, before an argument register is changed.
    Entry,
    /// At a return, results in place.
    Exit,
    /// After the return of a given callee, its results in place.
    AfterCall,
    /// At the call of a given callee, its arguments in place.
    Call,
}

/// How the floor kernel (5.8) runs an instruction under a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// In the kernel, with one trap.
    Emulated,
    /// Out of line, with two traps.
    Stepped,
}
