//! HTTP/2 servers: two hits per stream, `start` at the entry of `(*serverConn).runHandler` and `end` at that of the function that it
//! defers, which runs once for every stream, panics included. Both are on the stream's own goroutine, which runs nothing else.
//!
//! The implementation has several packages, each a library with programs and maps of its own; [`http2_server`] makes them, and
//! what they do is here. State between the hits is in the table of all that serve HTTP.
//!
//! ```text
//! start ──► KIND_BEGAN_SHORT or KIND_BEGAN_FIELDS         end ── the agent knows the beginning ──► KIND_ENDED
//!                                                           └─ it does not ─(tail call)─► whole ► KIND_ENDED_WHOLE
//! ```

use core::mem::MaybeUninit;

use aya_ebpf::{maps::Array, programs::ProbeContext};
use runtime_ebpf::{
    counters::Counter as Core,
    http_server::{
        STATUS_UNKNOWN,
        counters::Counter,
        records::{HOW_FINISHED, HOW_PUSHED, HOW_UNANSWERED},
    },
    http2_server::{File, STATE_WINDOW, STREAM_CLOSED, STREAM_WINDOW},
    libraries::Library,
    sockets::NO_LINK,
};

use super::http_server::{
    begin, count,
    end::{self, Ending},
    fields::{self, Request},
    flight::{self, ANNOUNCED, Flight, Key, OPEN, SAMPLED},
    how::how,
};
use crate::{
    connection::{Conn, link_apart},
    count::count as count_core,
    enter::{Hit, enter},
    read::{known, put, read, try_read, try_read_bytes, word_or_zero},
    registers::GoRegisters,
    texts::{Window, string_in},
    whole_key::WholeKey as _,
};

/// The programs and maps of a library: its constant, the map of its files, the map of its other programs, and its programs' names.
macro_rules! http2_server {
    ($library:ident $files:ident $tails:ident $start:ident $end:ident $whole:ident) => {
        use aya_ebpf::{
            macros::{map, uprobe},
            maps::{Array, ProgramArray},
            programs::ProbeContext,
        };
        use runtime_ebpf::{
            abi::MAX_FILES, http_server::counters::Counter, http2_server::File, libraries::$library,
        };

        use super::{
            http_server::count,
            http2_server::{arrive, begin, finished, whole},
        };

        #[map]
        pub static $files: Array<File> = Array::with_max_entries(MAX_FILES, 0);
        /// The program in which an end goes on that needs more room; the agent puts it there.
        #[map]
        static $tails: ProgramArray = ProgramArray::with_max_entries(1, 0);

        /// `runHandler(sc, rw, req, handler)`, after its stack check.
        #[uprobe]
        pub fn $start(ctx: ProbeContext) -> u32 {
            if let Some((hit, file)) = arrive(&ctx, $library, &$files, |file| file.start_check) {
                begin(&ctx, &hit, file);
            }
            0
        }

        /// The function that `runHandler` defers, after its stack check.
        #[uprobe]
        pub fn $end(ctx: ProbeContext) -> u32 {
            let Some((hit, file)) = arrive(&ctx, $library, &$files, |file| file.end_check) else { return 0 };
            if finished(&ctx, &hit, file) {
                // SAFETY: the map's program is of this object and takes the same context.
                unsafe { $tails.tail_call(&ctx, 0) };
                count(&hit, Counter::NoTail);
            }
            0
        }

        /// `end` has found that the agent does not know the beginning.
        #[uprobe]
        pub fn $whole(ctx: ProbeContext) -> u32 {
            if let Some((hit, file)) = arrive(&ctx, $library, &$files, |_| 0) {
                whole(&hit, file);
            }
            0
        }
    };
}
pub(super) use http2_server;

// What is read at the end is read into the record's room.
const _: () = assert!(end::SMALL_BYTES >= STATE_WINDOW && end::SMALL_BYTES >= STREAM_WINDOW);

/// The hit and its file, if its process is traced, any of its requests can be, and the hit is not the start of a function that
/// will start again.
#[inline(always)]
pub fn arrive(
    ctx: &ProbeContext,
    library: Library,
    files: &'static Array<File>,
    check: impl Fn(&File) -> u8,
) -> Option<(Hit, &'static File)> {
    let hit = enter(ctx)?.of(library);
    let file = files.get_at(hit.file())?;
    if ctx.restarts(check(file)) {
        count_core(Core::Restarted);
        return None;
    }
    (!hit.never_samples()).then_some((hit, file))
}

fn request(file: &File) -> Request<'_> {
    Request { fields: &file.request, headers: &file.headers }
}

/// A stream's handler begins.
#[inline(always)]
pub fn begin(ctx: &ProbeContext, hit: &Hit, file: &File) {
    let start_ns = end::now();
    let (conn, writer) = (ctx.argument::<0>(), ctx.argument::<1>());
    if begin::is_unsampled(hit, start_ns, writer) {
        return;
    }
    let Some(mut entry) = begin::enter_request(hit, writer) else { return };
    let flight = entry.get_mut();
    flight.library = hit.library;
    flight.response = writer;
    flight.request = ctx.argument::<2>();
    flight.conn = conn;
    put(&mut flight.extra, 0);
    flight.start_ns = start_ns;
    fields::note_peer(flight, string_in(conn, file.conn_remote_addr));
    let bias = ctx.instruction().wrapping_sub(file.start_vaddr);
    fields::begin(hit, request(file), flight, |flight| sent_as(hit, file, bias, flight));
}

/// Over which connection the request has come, and as which stream.
#[inline(always)]
fn sent_as(hit: &Hit, file: &File, bias: u64, flight: &Flight) -> (u64, u64) {
    let state = word_or_zero(flight.response, file.writer_state, 0);
    let stream = word_or_zero(state, file.state_stream, 0);
    // Four bytes; the next ones are of the same struct.
    let id = word_or_zero(stream, file.stream_id, 0) & 0xffff_ffff;
    let net = Conn::at(flight.conn, file.conn_net);
    let link = link_apart(hit.file(), bias, net.itab, net.data);
    (if id == 0 { NO_LINK } else { link }, id)
}

/// A stream's handler has returned, panicked, or left by Goexit. `true`: `whole` has to go on.
#[inline(always)]
pub fn finished(ctx: &ProbeContext, hit: &Hit, file: &File) -> bool {
    let key = Key::of(hit);
    let Some(entry) = flight::live(hit, &key) else {
        count(hit, Counter::BeganBefore);
        return false;
    };
    let kept = entry.get();
    if !kept.has(OPEN) {
        // A goroutine serves one stream: another attachment of this program has ended it already.
        if hit.goid() == Some(kept.goid) {
            count_core(Core::Doubled)
        } else {
            count(hit, Counter::BeganBefore)
        }
        return false;
    }
    if kept.has(SAMPLED) {
        if hit.goid() != Some(kept.goid) || !holds(ctx.closure(), kept.response) {
            flight::mismatch(hit, &key, kept);
            return false;
        }
        if !kept.has(ANNOUNCED) {
            return true;
        }
        end::send(hit, &file.last, kept, |scratch| ending(hit, file, kept, scratch));
    }
    flight::leave(hit, &key, entry);
    false
}

/// Sends the stream whole: `finished` has compared what proves that the entry's pointers are alive, in this very hit.
#[inline(always)]
pub fn whole(hit: &Hit, file: &File) {
    let key = Key::of(hit);
    let Some(mut entry) = flight::live(hit, &key) else { return };
    let kept = entry.get_mut();
    fields::whole(hit, request(file), &file.last, kept, |kept, scratch| ending(hit, file, kept, scratch));
    flight::leave(hit, &key, entry);
}

/// Whether the deferred function's closure has this ResponseWriter, which is one of the four things that it keeps.
#[inline(always)]
fn holds(closure: u64, writer: u64) -> bool {
    let mut kept = MaybeUninit::<[u64; 4]>::uninit();
    let word = kept.as_mut_ptr().cast::<u64>();
    // Behind the function's address.
    if !try_read_bytes(word.cast(), 32, closure + 8) {
        return false;
    }
    // SAFETY: all of it was read. One by one: LLVM makes a loop over bytes of an array.
    unsafe {
        word.read_volatile() == writer
            || word.add(1).read_volatile() == writer
            || word.add(2).read_volatile() == writer
            || word.add(3).read_volatile() == writer
    }
}

/// How it ended: the response's state is this stream's until the deferred function, at whose entry this is, gives it back.
#[inline(always)]
fn ending(hit: &Hit, file: &File, kept: &Flight, scratch: *mut u8) -> Ending {
    let how = how(hit, HOW_FINISHED);
    let request = if file.translates == 0 { kept.request } else { handled(hit, file, kept) };
    let state = known(kept.response, file.writer_state).and_then(read::<u64>).unwrap_or(0);
    let window = Window::<STATE_WINDOW>::read(scratch, state, 0, file.state_bytes);
    if !window.ok() {
        count_core(Core::ReadFault);
        return Ending { status: STATUS_UNKNOWN, how, request };
    }
    let status = window.known_word(file.state_status) as u32;
    let stream = window.known_word(file.state_stream);
    Ending { status, how: of_stream(file, stream, status, how, scratch), request }
}

/// What the stream adds to that.
#[inline(always)]
fn of_stream(file: &File, stream: u64, status: u32, how: u8, scratch: *mut u8) -> u8 {
    let window = Window::<STREAM_WINDOW>::read(scratch, stream, 0, file.stream_bytes);
    if !window.ok() {
        return how;
    }
    // RFC 9113, 5.1.1: streams that a client opens have odd numbers.
    if window.known_word(file.stream_id) & 1 == 0 {
        return HOW_PUSHED;
    }
    if status == 0 && how == HOW_FINISHED && window.known_word(file.stream_state) == STREAM_CLOSED {
        return HOW_UNANSWERED;
    }
    how
}

/// The Request that the handler was given. Nothing but the handler has kept it alive, and that has returned: it counts if it
/// still has the very header that the stream's own request has.
#[inline(always)]
fn handled(hit: &Hit, file: &File, kept: &Flight) -> u64 {
    let own = known(kept.request, file.request.header).and_then(read::<u64>).unwrap_or(0);
    let its = known(kept.extra, file.handled_header).filter(|_| kept.extra != 0).and_then(try_read::<u64>);
    if own != 0 && its == Some(own) {
        return kept.extra;
    }
    if kept.extra != 0 {
        count(hit, Counter::RequestGone);
    }
    0
}
