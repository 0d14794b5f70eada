//! What the libraries that call over HTTP share: a span for each round trip, from the entry of the function that makes it to where
//! headers have arrived.
//!
//! ```text
//! start   the round trip's function entered      ► KIND_BEGAN
//! conn    behind the search for a connection: an error is the end ► KIND_FAILED; one for what has failed already ► KIND_RESUMED
//! end     behind the connection's round trip     ► KIND_ENDED or KIND_FAILED
//! ```
//! All are hits on the caller's goroutine, which is the key. Round trips are repeated by the library in one call, where an old
//! connection turned out to be dead: a failure leaves the entry open for another end ([`records`]).
//!
//! [`records`]: runtime_ebpf::http_client::records

pub mod end;
pub mod flight;
pub mod start;

use aya_ebpf::programs::ProbeContext;
pub use runtime_ebpf::http_client::File;
use runtime_ebpf::{counters::Counter as Core, http_client::counters::Counter, record::Head};

use end::Outcome;
use flight::{Client, Flight};

use crate::{
    count::{count as count_core, count_of},
    enter::{Hit, enter},
    registers::GoRegisters,
    whole_key::WholeKey as _,
};

/// The maps of a library: what stands for it here, its constant, and the maps' names.
macro_rules! http_client {
    ($client:ident $library:ident $files:ident $flight:ident $uses:ident $entries:ident) => {
        use aya_ebpf::{
            macros::{map, uprobe},
            maps::{Array, HashMap},
            programs::ProbeContext,
        };
        use runtime_ebpf::{
            abi::MAX_FILES,
            http_client::{DEFAULT_ENTRIES, File},
            libraries::{self, $library},
        };

        use super::http_client::{
            self,
            end::{self, Outcome},
            flight::{self, Client, Flight, Key},
        };

        /// The library.
        pub struct $client;

        #[map]
        static $files: Array<File> = Array::with_max_entries(MAX_FILES, 0);
        #[map]
        static $flight: HashMap<Key, Flight> = HashMap::with_max_entries(DEFAULT_ENTRIES, 0);
        #[map]
        static $uses: Array<u64> = Array::with_max_entries(2, 0);
        #[unsafe(no_mangle)]
        static $entries: u64 = DEFAULT_ENTRIES as u64;

        impl Client for $client {
            const LIBRARY: libraries::Library = $library;

            #[inline(always)]
            fn files() -> &'static Array<File> {
                &$files
            }
            #[inline(always)]
            fn flight() -> &'static HashMap<Key, Flight> {
                &$flight
            }
            #[inline(always)]
            fn uses() -> &'static Array<u64> {
                &$uses
            }
            #[inline(always)]
            fn entries() -> u64 {
                // SAFETY: a static of this object that the loader sets before the program runs.
                unsafe { core::ptr::read_volatile(&$entries) }
            }
        }
    };
}
pub(super) use http_client;

/// Adds one to a counter that all of these libraries have, of the one whose hit it is.
#[inline(always)]
pub fn count(hit: &Hit, counter: Counter) {
    count_of(hit.library, counter as u32);
}

/// The hit and its file, if its process is traced.
#[inline(always)]
pub fn arrive<C: Client>(ctx: &ProbeContext) -> Option<(Hit, &'static File)> {
    let hit = enter(ctx)?.of(C::LIBRARY);
    if hit.never_samples() {
        return None;
    }
    Some((hit, C::files().get_at(hit.file())?))
}

/// The same of a start site, unless it is the start of a function that will start again.
#[inline(always)]
pub fn arrive_at_start<C: Client>(ctx: &ProbeContext) -> Option<(Hit, &'static File)> {
    let (hit, file) = arrive::<C>(ctx)?;
    if ctx.restarts(file.start_check) {
        count_core(Core::Restarted);
        return None;
    }
    Some((hit, file))
}

/// What the file's addresses are less than the process's, at a start site.
#[inline(always)]
pub fn bias(ctx: &ProbeContext, file: &File) -> u64 {
    ctx.instruction().wrapping_sub(file.start_vaddr)
}

/// Writes what every record begins with.
#[inline(always)]
fn write_head(hit: &Hit, base: *mut u8, flight: &Flight, kind: u16, len: u32, end_ns: u64) {
    // SAFETY: every reservation is at least a Head long and aligned to 8.
    let head = unsafe { &mut *base.cast::<Head>() };
    head.library = hit.library;
    head.kind = kind;
    head.len = len;
    head.tgid = hit.tgid;
    head.generation = flight.generation;
    head.start_ns = flight.start_ns;
    head.end_ns = end_ns;
    // SAFETY: byte arrays at multiples of 8 in a repr(C) struct (pinned by a test): word stores.
    unsafe {
        let ids = (&raw mut head.trace_id).cast::<u64>();
        ids.write_volatile(flight.trace_id[0]);
        ids.add(1).write_volatile(flight.trace_id[1]);
        (&raw mut head.span_id).cast::<u64>().write_volatile(flight.span_id);
        (&raw mut head.parent_span_id).cast::<u64>().write_volatile(flight.parent_span_id);
        // Flags, the parent's kind and zeros, in one.
        (&raw mut head.trace_flags).cast::<u64>().write_volatile(flight.flags);
    }
}

/// How a round trip ended, behind the call that made it: its results are (resp *Response, err error).
#[inline(always)]
pub fn outcome(ctx: &ProbeContext) -> Outcome {
    match ctx.argument::<1>() {
        0 => Outcome::Response(ctx.argument::<0>()),
        error => Outcome::Error { error, data: ctx.argument::<2>() },
    }
}
