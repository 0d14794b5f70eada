//! What is asked of a function's calls, and why there may be no answer.

/// Most instructions between a call and the site behind it: `serve` spills and compares 13 before its first branch.
pub const MAX_DISTANCE: usize = 32;

/// Which calls of a function are meant, and what has to be right behind them.
pub struct Question<'q> {
    /// What is called.
    pub callees: Callees<'q>,
    /// Functions whose calls by name count where indirect ones are meant.
    pub by_name: &'q [u64],
    /// Whether a call at that offset counts: where the function's body was inlined into another, those of the body alone.
    pub counts: &'q dyn Fn(usize) -> bool,
    /// Whether a compiled Go function begins at that address. Assembly (`gcWriteBarrier`) keeps registers as it likes.
    pub is_compiled: &'q dyn Fn(u64) -> bool,
    /// Whether an address is a function's or a method table's, with which what is to be called is compared.
    pub is_guard: &'q dyn Fn(u64) -> bool,
    /// How many result registers have to be as the callee left them.
    pub results: u8,
    /// Whether the site may be reached from behind other calls too.
    pub also_reached: bool,
    /// Whether an instruction that the kernel steps will do where none that it emulates follows.
    pub stepped: bool,
    /// Whether one call may be seen twice.
    pub repeats: bool,
    /// Whether to tell where the cases of `runtime.selectgo` are.
    pub cases: bool,
}

/// What is called.
#[derive(Debug, Clone, Copy)]
pub enum Callees<'q> {
    /// The functions at these addresses.
    Functions(&'q [u64]),
    /// Whatever an interface's method of that number is, in the order of the methods' names.
    Method(u8),
    /// Whatever a function value holds.
    Closure,
}

/// Why there is no sound site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The function has no such call.
    #[error("it has no such call")]
    NoCall,
    /// There are bytes that are no instruction.
    #[error("its code cannot be decoded")]
    Undecoded,
    /// The callee is jumped to, and returns to the caller's caller.
    #[error("it jumps to the callee, which then returns elsewhere")]
    TailCall,
    /// Nothing that can be probed follows a call with the results in place.
    #[error("no emulated instruction follows each call with its results in place")]
    NotFollowed,
    /// A gap is entered without a call.
    #[error(
        "a jump leads between a call and what follows, so a probe there is also reached without the call"
    )]
    JumpedInto,
    /// A jump leads nobody knows where.
    #[error("it has a jump of which nobody knows where it leads")]
    UnknownJump,
    /// It is not known what an indirect call calls.
    #[error("one of its indirect calls cannot be told to be a method's or a function value's")]
    UnknownCall,
    /// The compiler calls by name what is mostly called.
    #[error(
        "a call was devirtualised (profile-guided optimisation), a probe behind the indirect one would miss it"
    )]
    Devirtualised,
    /// The cases of a select are not where they are looked for.
    #[error("the address of its select's cases cannot be told")]
    NoCases,
    /// There are more calls than anybody writes.
    #[error("it has too many such calls")]
    TooMany,
}
