//! How every program of a library begins: whose hit is it, and what does the agent say of that process and its file?

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, ProgramArray},
    programs::ProbeContext,
};
use runtime_ebpf::{
    abi::{
        File, MAX_FILES, MAX_PROCESSES, Process, SWITCH_CARRY, SWITCH_CORRELATE, SWITCH_IGNORE_PARENT,
        SWITCH_NO_FORWARDED,
    },
    counters::Counter,
    libraries::Library,
};

use crate::{count::count, identity::tgid, read::known, registers::GoRegisters, whole_key::WholeKey as _};

/// Preallocated, as all hash maps of tracing programs must be.
#[map]
static PROCESSES: HashMap<u32, Process> = HashMap::with_max_entries(MAX_PROCESSES, 0);
#[map]
static FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);

/// Never filled.
#[map]
static NOWHERE: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Keeps the program on the kernel's own stack. Since Linux 6.13 (arm64: 6.17) a tracing program with 64 bytes of stack and more is
/// given one stack for each processor (kernel/bpf/verifier.c, `bpf_enable_priv_stack`), on the ground that no such program runs
/// twice on one processor. Programs of uprobes do, since they can be preempted: the second one overwrites the first one's
/// variables, pointers that the verifier has checked among them, and the kernel follows what it finds there (seen on 7.2: an
/// oops, the traced process gone). A program that has a call of another in place of its return gets no such stack, whether the
/// call is ever reached or not. This one is not, and costs nothing: the verifier knows that and takes it out, after it was seen.
#[inline(always)]
fn stay_on_the_kernels_stack(ctx: &ProbeContext) {
    let never: u64;
    // SAFETY: it sets a register. The compiler has to believe that it may be anything.
    unsafe { core::arch::asm!("{0} = 0", out(reg) never, options(nomem, nostack)) };
    if never != 0 {
        // SAFETY: the map has no program.
        unsafe { NOWHERE.tail_call(ctx, 0) };
    }
}

/// One hit of a probe in a traced process.
#[derive(Clone, Copy)]
pub struct Hit {
    /// Process id in the initial PID namespace.
    pub tgid: u32,
    /// Address of the running goroutine's `g`.
    pub goroutine: u64,
    /// Code of the library whose program it is: see [`Hit::of`].
    pub library: u16,
    process: *mut Process,
}

/// The hit, if its process is traced.
#[inline(always)]
pub fn enter(ctx: &ProbeContext) -> Option<Hit> {
    stay_on_the_kernels_stack(ctx);
    let tgid = tgid();
    let process = PROCESSES.at(tgid)?.as_ptr();
    Some(Hit { tgid, goroutine: ctx.goroutine(), library: 0, process })
}

/// Whether this is the process's present generation.
#[inline(always)]
pub fn is_present(tgid: u32, generation: u32) -> bool {
    // SAFETY: as in `Hit::process`.
    PROCESSES.at(tgid).is_some_and(|process| unsafe { process.as_ref() }.generation == generation)
}

impl Hit {
    /// The process and its generation, in one word.
    #[inline(always)]
    pub fn present(&self) -> u64 {
        (self.tgid as u64) << 32 | self.process().generation as u64
    }

    /// The same of a library's program: what several libraries share counts and sends in its name.
    #[inline(always)]
    pub fn of(self, library: Library) -> Self {
        Self { library: library.code, ..self }
    }

    #[inline(always)]
    pub fn process(&self) -> &Process {
        // SAFETY: `enter` has checked the pointer; the agent replaces a value only when the process behind it has changed,
        // and a replaced value stays readable.
        unsafe { &*self.process }
    }

    /// Adds to the number of this process's in-flight entries in a table; several processors may do so at once.
    #[inline(always)]
    pub fn add_entries(&self, table: usize, more: i64) {
        // SAFETY: `entries` lies within the map's value.
        atomic_add(unsafe { &raw mut (*self.process).entries[table] }, more);
    }

    /// Whether this has been told of the process.
    #[inline(always)]
    pub fn has_told(&self, bit: u32) -> bool {
        self.process().told & bit != 0
    }

    /// From now on it has been told. Two processors may both have done so.
    #[inline(always)]
    pub fn note_told(&self, bit: u32) {
        // SAFETY: `told` lies within the map's value, where nobody but the programs writes to it.
        unsafe {
            let told = &raw mut (*self.process).told;
            told.write_volatile(told.read_volatile() | bit);
        }
    }

    /// Index of the process's file.
    #[inline(always)]
    pub fn file(&self) -> u32 {
        self.process().file
    }

    /// What is known of the file's Go runtime.
    #[inline(always)]
    pub fn runtime(&self) -> Option<&'static File> {
        FILES.get_at(self.file())
    }

    /// Whether a library of the process's file asks for parents within the process.
    #[inline(always)]
    pub fn asks_for_parents(&self) -> bool {
        self.runtime().is_some_and(|runtime| runtime.parents != 0)
    }

    /// Whether the programs of one of these libraries, bits by code, are attached to the file.
    #[inline(always)]
    pub fn has_library(&self, codes: u64) -> bool {
        self.runtime().is_some_and(|runtime| runtime.libraries & codes != 0)
    }

    /// Whether a remote parent is looked for.
    #[inline(always)]
    pub fn extracts(&self) -> bool {
        self.process().switches & SWITCH_IGNORE_PARENT == 0
    }

    /// Whether it is looked up who sends a request that does not say it.
    #[inline(always)]
    pub fn correlates(&self) -> bool {
        self.process().switches & SWITCH_CORRELATE != 0
    }

    /// Whether it matters to anybody else whose a call is that another goroutine sends.
    #[inline(always)]
    pub fn passes_on(&self) -> bool {
        self.process().switches & (SWITCH_CORRELATE | SWITCH_CARRY) != 0
    }

    /// Whether requests that the process makes are given their context.
    #[inline(always)]
    pub fn carries(&self) -> bool {
        self.process().switches & SWITCH_CARRY != 0
    }

    /// Whether a request may be part of what another process does.
    #[inline(always)]
    pub fn takes_parents(&self) -> bool {
        self.process().switches & (SWITCH_CORRELATE | SWITCH_IGNORE_PARENT) != SWITCH_IGNORE_PARENT
    }

    /// 0 if it is believed what proxies say of a request.
    #[inline(always)]
    pub fn disbelieves_proxies(&self) -> u64 {
        (self.process().switches & SWITCH_NO_FORWARDED) as u64
    }

    /// Whether no request of this process can be sampled.
    #[inline(always)]
    pub fn never_samples(&self) -> bool {
        self.process().sampler.never(self.takes_parents())
    }

    /// `g.goid` of the running goroutine: goroutines' ids are not used again, their `g`s are.
    #[inline(always)]
    pub fn goid(&self) -> Option<u64> {
        crate::read::read(known(self.goroutine, self.runtime()?.g_goid)?)
    }

    /// How deep in its goroutine's stack a stack pointer is. Where nobody knows where stacks begin it is counted from the end of memory:
    /// that holds as long as the stack is not moved.
    #[inline(always)]
    pub fn depth(&self, stack: u64) -> u64 {
        let begin = self.runtime().and_then(|file| known(self.goroutine, file.g_stack_hi));
        begin.map_or(0, |at| crate::read::read_or_zero(at)).wrapping_sub(stack)
    }
}

/// Adds to a word of a map's value. `AtomicI64::fetch_add` does not exist for BPF.
#[inline(always)]
pub fn atomic_add(word: *mut u64, more: i64) {
    // SAFETY: the verifier checks that the word lies within a map's value; one instruction, atomic.
    unsafe {
        core::arch::asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) word, in(reg) more, options(nostack));
    }
}

/// The hit and its file, if its process is traced, any of its spans can be, and the hit is not the start of a function that will start
/// again: `check` says how that is told.
#[inline(always)]
pub fn arrive<F>(
    ctx: &ProbeContext,
    library: Library,
    files: &'static Array<F>,
    check: impl Fn(&F) -> u8,
) -> Option<(Hit, &'static F)> {
    let hit = enter(ctx)?.of(library);
    if hit.never_samples() {
        return None;
    }
    let file = files.get_at(hit.file())?;
    if ctx.restarts(check(file)) {
        count(Counter::Restarted);
        return None;
    }
    Some((hit, file))
}
