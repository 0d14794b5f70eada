//! What the agent writes into the core's maps: one value for each traced process, one for each file, and what the loader sets.
//!
//! ```text
//! PROCESSES   tgid (u32, initial PID namespace) -> Process     written by the agent, `entries` by the programs
//! FILES       file index (u32)                  -> File
//! CONTEXTS    file index                        -> Contexts
//! CURRENT     address or goid, tgid, BY_        -> Current     written by the programs, in processes where somebody asks
//! <ID>_FILES  file index                        -> what the library's module says
//! WAKE        0, 1 -> u64: 1 after the programs have woken the agent for RECORDS or LARGE_RECORDS, set back to 0 by the agent when it has
//!             emptied both
//! GIVEN_WAY   tgid, place of a table (u32 each) -> entries of the process that the agent has removed there, since it had too many (u64)
//! FLIGHT_USE  0 -> entries that programs have made, less those that they removed; 1 -> those that the agent has removed
//! ```

use crate::sampler::Sampler;

/// Marks an offset that is not known: what needs it is left out. Valid offsets are below [`MAX_OFFSET`].
pub const NO_OFFSET: u16 = u16::MAX;

/// Bytes of what every entry of an in-flight table begins with: generation, state, the goroutine's id, start, ids, flags.
pub const SPAN_BYTES: usize = 64;
/// Where its state is, four bytes.
pub const SPAN_STATE_AT: usize = 4;
/// Where its beginning is, eight bytes: CLOCK_MONOTONIC in ns.
pub const SPAN_START_AT: usize = 16;
/// Offsets of single fields must be below this (they are read at `base + offset`).
pub const MAX_OFFSET: u16 = 4096;

/// Processes at once.
pub const MAX_PROCESSES: u32 = 8192;
/// Files at once, hence the indexes that the agent may give.
pub const MAX_FILES: u32 = 4096;

/// A traced process. Value of `PROCESSES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Another one each time the agent configures the process, so that what an earlier program left behind counts for nothing.
    pub generation: u32,
    /// Index of its file in `FILES` and in each library's own array.
    pub file: u32,
    /// Who is sampled.
    pub sampler: Sampler,
    /// `SWITCH_` bits.
    pub switches: u32,
    /// What the programs have told the agent of this process and need not tell again: bits that are its libraries' own.
    pub told: u32,
    /// In-flight entries of this process and generation in each table, counted by the programs; the agent writes 0.
    pub entries: [u64; TABLES],
}

/// One process may have one in so many of a table's entries: what it never ends, nobody else misses.
pub const SHARES: u64 = 2;

/// In-flight tables that count how much of them a process has, by the place of its number in [`Process::entries`].
pub const TABLES: usize = 8;
/// What is served over HTTP.
pub const HTTP_SERVER_TABLE: usize = 0;
/// What net/http's client calls.
pub const NET_HTTP_CLIENT_TABLE: usize = 1;
/// What x/net's client calls.
pub const X_NET_HTTP2_CLIENT_TABLE: usize = 2;
/// What gRPC serves.
pub const GRPC_SERVER_TABLE: usize = 3;
/// What gRPC calls.
pub const GRPC_CLIENT_TABLE: usize = 4;
/// What is asked of databases.
pub const DATABASE_SQL_TABLE: usize = 5;
/// What is sent to Kafka and taken from it by kafka-go.
pub const KAFKA_GO_TABLE: usize = 6;
/// Spans that programs make by hand.
pub const BY_HAND_TABLE: usize = 7;

/// `traceparent` is not looked at (`OTEL_PROPAGATORS` without `tracecontext`).
pub const SWITCH_IGNORE_PARENT: u32 = 1;
/// A request's text is not read in one piece: cookies and the like then never leave the target's memory.
pub const SWITCH_NO_TEXT: u32 = 2;
/// What proxies say of a request is not looked at.
pub const SWITCH_NO_FORWARDED: u32 = 4;
/// Who sends what a server gets is looked up where the request does not say it ([`crate::sockets`]).
pub const SWITCH_CORRELATE: u32 = 8;
/// Whose a request is, is noted for the programs that write trace contexts.
pub const SWITCH_CARRY: u32 = 16;

/// What the core needs to know of a file's Go runtime. Value of `FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// `runtime.g.goid`: the programs compare it before they follow anything that was kept between two hits.
    pub g_goid: u16,
    /// `runtime.g._panic`, the innermost panic or Goexit under way.
    pub g_panic: u16,
    /// `runtime._panic.arg`, an interface value.
    pub panic_arg: u16,
    /// `runtime._panic.goexit`, a bool at any offset.
    pub panic_goexit: u16,
    /// `runtime.g.parentGoid` (Go 1.21): the goroutine that created this one.
    pub g_parent_goid: u16,
    /// 1: a library of this file asks for parents within the process, so that the others have to say what is open. 0: nobody
    /// asks, and nobody says anything.
    pub parents: u16,
    /// `runtime.g.stack.hi`: how far from there the stack pointer is stays the same when a stack is moved.
    pub g_stack_hi: u16,
    /// Zero.
    pub reserved: u16,
    /// Bit by code: the libraries whose programs are attached to it.
    pub libraries: u64,
}

/// What leads from one context to the next. Value of `CONTEXTS`, by file index.
///
/// The itabs of `context.Context` that the file has are in a table without collisions: the agent has looked for a
/// [`Contexts::multiplier`] that leads each to a slot of its own.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contexts {
    /// An itab's slot is the highest [`CONTEXT_SLOT_BITS`] bits of its address in the file times this.
    pub multiplier: u64,
    /// Address in the file of the descriptor of `*net/http.contextKey`; 0: unknown. A value with such a key is what net/http's
    /// servers put into the contexts of their connections.
    pub request_key_type: u64,
    /// Address in the file of the descriptor of the type of the key by which OpenTelemetry's API puts a span into a context; 0: unknown.
    pub span_key_type: u64,
    /// The same of the spans that programs make by hand, of which the agent knows: `*go.opentelemetry.io/auto/sdk.span`, and what
    /// `go.opentelemetry.io/otel/trace` has of its own, and what the API's global tracer of before v1.33 makes of a span without an SDK.
    /// In place of one that is unknown a known one stands again.
    pub span_types: [u64; 3],
    /// The same of what stands for a span of somebody else: the `nonRecordingSpan` of `go.opentelemetry.io/otel/trace`, and that of the
    /// API's global tracer.
    pub remote_types: [u64; 2],
    /// Where these have their SpanContext (16 bytes of trace id, 8 of span id, a byte of flags); [`NO_OFFSET`]: unknown.
    pub remote_contexts: [u16; 2],
    /// `http.Request.ctx`; [`NO_OFFSET`]: unknown.
    pub request_ctx: u16,
    /// Zero.
    pub reserved: u16,
    /// By slot.
    pub slots: [ContextSlot; 1 << CONTEXT_SLOT_BITS],
}

/// One concrete type of `context.Context`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextSlot {
    /// Address of its itab in the file; 0: the slot is empty.
    pub itab_vaddr: u64,
    /// From where the interface's data word points to what leads on.
    pub offset: u32,
    /// One of the `CONTEXT_` constants.
    pub kind: u32,
}

/// Slots of [`Contexts`], as a power of two.
pub const CONTEXT_SLOT_BITS: u32 = 6;
/// What leads on is another `context.Context`.
pub const CONTEXT_HOLDS_CONTEXT: u32 = 1;
/// A `*context.valueCtx`: the same, and its key lies behind it.
pub const CONTEXT_HOLDS_VALUE: u32 = 2;
/// What leads on is a `*net/http.Request`, whose context it is.
pub const CONTEXT_HOLDS_REQUEST: u32 = 3;

/// What is open on a goroutine, or in a context. Value of `CURRENT`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Current {
    /// The process's, when the entry was written.
    pub generation: u32,
    /// 1: the span is open.
    pub open: u32,
    /// The goroutine.
    pub goroutine: u64,
    /// Its id.
    pub goid: u64,
    /// The data word of the operation's own `context.Context`; 0 without one.
    pub context: u64,
    /// The trace.
    pub trace_id: [u64; 2],
    /// The span.
    pub span_id: u64,
    /// Its W3C trace flags.
    pub trace_flags: u64,
    /// All words from `goroutine` to `trace_flags` together: whoever reads it while it is written sees that it is not whole.
    pub seal: u64,
}

/// Keys of `CURRENT` by the address of a `g`.
pub const BY_GOROUTINE: u32 = 0;
/// By the data word of a `context.Context`.
pub const BY_CONTEXT: u32 = 1;
/// By `g.goid`.
pub const BY_GOID: u32 = 2;

/// Places that an operation takes in the table: by its goroutine, by its context, by the goroutine's id.
pub const PLACES: u32 = 3;

/// The site is after the stack check: every hit counts.
pub const CHECK_NONE: u8 = 0;
/// The site is a `jbe` (amd64, CF or ZF) or a `b.ls` (arm64, C clear or Z set).
pub const CHECK_BELOW_OR_EQUAL: u8 = 1;
/// The site is a `jb` (amd64, CF) or a `b.lo` (arm64, C clear).
pub const CHECK_BELOW: u8 = 2;

/// How a `map[string][]string` (`net/http.Header`) is walked.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapWalk {
    /// From one group or bucket to the next.
    pub stride: u16,
    /// From one key to the next; the first is at 8.
    pub key_stride: u16,
    /// The first element.
    pub elems: u16,
    /// From one element to the next.
    pub elem_stride: u16,
    /// A bucket's pointer to the next of its chain; 0 for groups.
    pub overflow: u16,
    /// [`HEADERS_NONE`], [`HEADERS_HMAP`] or [`HEADERS_SWISS`].
    pub kind: u8,
    /// Zero.
    pub reserved: u8,
}

/// It is not walked.
pub const HEADERS_NONE: u8 = 0;
/// Buckets with chains (up to Go 1.23, and `GOEXPERIMENT=noswissmap`).
pub const HEADERS_HMAP: u8 = 1;
/// Swiss groups (Go 1.24).
pub const HEADERS_SWISS: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_no_padding() {
        assert_eq!((size_of::<Process>(), align_of::<Process>()), (32 + 8 * TABLES, 8));
        assert_eq!(size_of::<File>(), 24);
        assert_eq!(size_of::<ContextSlot>(), 16);
        assert_eq!(size_of::<Contexts>(), 72 + 64 * 16);
        assert_eq!(size_of::<Current>(), 72);
    }
}
