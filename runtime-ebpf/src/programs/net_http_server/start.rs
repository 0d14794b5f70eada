//! A request begins: the fast way, and the decision to take it.
//!
//! On a connection's second and later requests, with its text whole in the `bufio.Reader`: four reads of structs, the text,
//! and the request line to compare it with.

use aya_ebpf::{helpers::bpf_ktime_get_ns, maps::ring_buf::RingBufBytes};
use runtime_ebpf::{
    abi::SWITCH_NO_TEXT,
    counters::Counter as Core,
    http_server::{
        REQUEST_WINDOW,
        records::{BEGAN_SLOT_COUNT, Began, KIND_BEGAN_WIRE, PEER_BYTES},
    },
    net_http_server::{File, LARGE_TEXT, LINE_BYTES, READER_WINDOW, SMALL_TEXT, counters::Counter as Own},
    record::ABSENT,
};

use super::{
    super::http_server::{
        begin,
        end::write_head,
        flight::{self, ANNOUNCED, Flight, KEPT_PEER, Key, OPEN, PENDING, STATED},
    },
    count_own, tell_http2, wire,
};
use crate::{
    connection::{self, Conn, End},
    count::count as count_core,
    enter::Hit,
    read::{GoString, known, put, read},
    ring,
    texts::{Window, cut_len, fill, string_in},
    trace_states,
};

/// What lies behind the text in the reservation: the request line, and what a load of eight bytes reaches beyond it.
const BEHIND: usize = LINE_BYTES + 16;
const SMALL_BYTES: usize = size_of::<Began>() + SMALL_TEXT + BEHIND;
const LARGE_BYTES: usize = size_of::<Began>() + LARGE_TEXT + BEHIND;
const _: () = assert!(SMALL_TEXT + BEHIND >= REQUEST_WINDOW);

/// What is picked out of the Request.
#[derive(Clone, Copy)]
pub struct Picked {
    pub method: GoString,
    pub uri: GoString,
    pub remote: GoString,
    pub header: u64,
    pub content_length: i64,
    pub tls: u8,
    pub proto_major: u8,
    pub proto_minor: u8,
}

/// Begins the request.
#[inline(always)]
pub fn begin(hit: &Hit, file: &File, bias: u64, response: u64, request: u64) -> Next {
    // SAFETY: plain helper call.
    let start_ns = unsafe { bpf_ktime_get_ns() };
    if begin::is_unsampled(hit, start_ns, response) {
        return Next::Done;
    }
    let Some(mut entry) = begin::enter_request(hit, response) else { return Next::Done };
    let flight = entry.get_mut();
    flight.library = hit.library;
    flight.response = response;
    flight.request = request;
    flight.start_ns = start_ns;
    flight.state = OPEN | PENDING;
    if hit.process().switches & SWITCH_NO_TEXT != 0 || file.text == 0 {
        return Next::Fields;
    }
    let Some(record) = ring::reserve(SMALL_BYTES) else { return Next::Fields };
    fast::<SMALL_TEXT>(hit, file, bias, flight, record)
}

/// Where a beginning goes on.
pub enum Next {
    /// Nowhere: it is done.
    Done,
    /// In the program for long texts.
    Large,
    /// In the slow way's.
    Fields,
    /// What its trace carries is noted in a program of its own.
    State,
}

/// Takes the fast way with a record that has room for `ROOM` bytes of text.
#[inline(always)]
fn fast<const ROOM: usize>(
    hit: &Hit,
    file: &File,
    bias: u64,
    flight: &mut Flight,
    mut record: RingBufBytes<'static>,
) -> Next {
    let base = record.as_mut_ptr();
    // One after the other: joined, they would have LLVM keep what is not there yet, which the verifier does not allow.
    let Some(picked) = pick(file, base, flight.request) else {
        ring::discard(record);
        return Next::Fields;
    };
    // A long text goes on where this has been done in the same hit.
    if ROOM == SMALL_TEXT && !connect(file, base, flight, picked.remote) {
        ring::discard(record);
        return Next::Fields;
    }
    let Some((buffer, len)) = reader(file, base, flight.extra) else {
        ring::discard(record);
        return Next::Fields;
    };
    if len > ROOM as u64 {
        ring::discard(record);
        return if len > LARGE_TEXT as u64 { Next::Fields } else { Next::Large };
    }
    text::<ROOM>(hit, file, bias, flight, &picked, record, buffer, len)
}

/// Goes on where `begin` has found the text too long for its record.
#[inline(always)]
pub fn large(hit: &Hit, file: &File, bias: u64) -> Next {
    let key = Key::of(hit);
    let Some(mut entry) = flight::live(hit, &key).filter(|entry| entry.get().has(PENDING)) else {
        return Next::Done;
    };
    let Some(record) = ring::reserve(LARGE_BYTES) else { return Next::Fields };
    fast::<LARGE_TEXT>(hit, file, bias, entry.get_mut(), record)
}

/// Where the text stands while the rest of the record is not written yet.
#[inline(always)]
fn text_of(base: *mut u8) -> *mut u8 {
    // SAFETY: every reservation here is longer than a Began.
    unsafe { base.add(size_of::<Began>()) }
}

/// Reads the Request in one piece, into where the text will stand, and picks it apart.
#[inline(always)]
fn pick(file: &File, base: *mut u8, request: u64) -> Option<Picked> {
    let window = Window::<REQUEST_WINDOW>::read(text_of(base), request, 0, file.request.bytes);
    if !window.ok() {
        return None;
    }
    let tls = window.known_word(file.request.tls);
    Some(Picked {
        method: window.known_string(file.request.method),
        uri: window.known_string(file.request.request_uri),
        remote: window.known_string(file.last.remote_addr),
        header: window.known_word(file.request.header),
        content_length: window.known_word(file.request.content_length) as i64,
        // 1 unless it is null, without a branch.
        tls: ((tls | tls.wrapping_neg()) >> 63) as u8,
        proto_major: window.known_word(file.request.proto_major) as u8,
        proto_minor: window.known_word(file.request.proto_minor) as u8,
    })
}

/// The connection: the kept one, if its remote address is the very string that this Request has (that its goroutine is the
/// same is known already); else its fields are read.
#[inline(always)]
fn connect(file: &File, base: *mut u8, flight: &mut Flight, remote: GoString) -> bool {
    if flight.extra != 0 && flight.peer_address == remote.address && flight.peer_len as u64 == remote.len {
        return true;
    }
    let Some(conn) = known(flight.response, file.response_conn).and_then(read::<u64>) else { return false };
    let Some(bufr) = known(conn, file.conn_bufr).and_then(read::<u64>) else { return false };
    let address = string_in(conn, file.conn_remote_addr);
    // Where the text will stand: the entry keeps it, if it fits.
    let scratch = text_of(base);
    let len = fill(scratch, PEER_BYTES, address);
    if len == ABSENT {
        return false;
    }
    flight.conn = conn;
    put(&mut flight.link, 0);
    flight.extra = bufr;
    flight.peer_address = address.address;
    flight.peer_len = len;
    macro_rules! words {
        ($($i:literal)+) => { $(
            // SAFETY: the scratch is longer. What lies behind the text is of no meaning, and nobody reads it.
            flight.peer[$i] = unsafe { scratch.cast::<u64>().add($i).read_volatile() };
        )+ };
    }
    words!(0 1 2);
    true
}

/// Writes the peer's text: the kept one if it fits there, else it is read.
#[inline(always)]
fn write_peer(base: *mut u8, flight: &Flight) -> u32 {
    // SAFETY: the reservation is at least a Began long; the field lies at a multiple of 8 (pinned by a test).
    let peer = unsafe { (&raw mut (*base.cast::<Began>()).peer).cast::<u8>() };
    if flight.peer_len > KEPT_PEER as u32 {
        let address = GoString { address: flight.peer_address, len: flight.peer_len as u64 };
        return fill(peer, PEER_BYTES, address);
    }
    macro_rules! words {
        ($($i:literal)+) => { $(
            // SAFETY: the record's field is longer than what an entry keeps.
            unsafe { peer.cast::<u64>().add($i).write_volatile(flight.peer[$i]) };
        )+ };
    }
    words!(0 1 2);
    flight.peer_len
}

/// `bufio.Reader`: the address of its buffer, and how much of that has been consumed: the text that was read last.
#[inline(always)]
fn reader(file: &File, base: *mut u8, bufr: u64) -> Option<(u64, u64)> {
    let window = Window::<READER_WINDOW>::read(text_of(base), bufr, 0, file.reader_bytes);
    window.ok().then(|| (window.known_word(file.reader_buf), window.known_word(file.reader_r)))
}

/// Takes the text, if it proves to be this request's, and sends the beginning.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "it is `fast`, once for each length of its record")]
fn text<const ROOM: usize>(
    hit: &Hit,
    file: &File,
    bias: u64,
    flight: &mut Flight,
    picked: &Picked,
    mut record: RingBufBytes<'static>,
    buffer: u64,
    len: u64,
) -> Next {
    let base = record.as_mut_ptr();
    let Some(wire) = wire::take::<ROOM>(base, text_of(base), buffer, len, picked) else {
        ring::discard(record);
        return Next::Fields;
    };
    if picked.proto_major == 2 {
        // The preface of HTTP/2: its handler serves the whole connection.
        tell_http2(hit);
        flight.state = 0;
        ring::discard(record);
        return Next::Done;
    }
    let parent = match wire.parent {
        _ if !hit.extracts() => None,
        wire::Parent::None => None,
        wire::Parent::Invalid => {
            count_core(Core::TraceparentInvalid);
            None
        }
        wire::Parent::Valid(parent) => Some(parent),
    };
    let link = |flight: &mut Flight| link(file, flight, |net| connection::link(hit, bias, net, End::Server));
    // Kept in memory: held by a branch, it would have the verifier follow all that comes twice.
    let announced = ANNOUNCED | wire.stated as u32 * STATED;
    if !begin::admit(hit, &file.request, flight, parent, announced, link) {
        ring::discard(record);
        return note_state(hit, flight);
    }
    write(hit, base, flight, picked, KIND_BEGAN_WIRE, (size_of::<Began>() + len as usize) as u32);
    // SAFETY: the reservation is at least a Began long.
    let began = unsafe { &mut *base.cast::<Began>() };
    began.header_count = wire.header_count;
    began.text_len = len as u32;
    clear_lens(began);
    count_own(Own::Text);
    ring::submit(record);
    note_state(hit, flight)
}

/// What the trace of a request that has begun carries, is noted in another program: also that it carries nothing, where other traces do.
#[inline(always)]
fn note_state(hit: &Hit, flight: &Flight) -> Next {
    if trace_states::concerns(hit, flight.parent) && (flight.has(STATED) || trace_states::are_there()) {
        return Next::State;
    }
    Next::Done
}

/// Over which connection the request has come: asked for once for each, and kept.
#[inline(always)]
pub fn link(file: &File, flight: &mut Flight, ask: impl FnOnce(Conn) -> u64) -> (u64, u64) {
    if flight.link == 0 {
        let net = Conn::at(flight.conn, file.conn_net);
        put(&mut flight.link, ask(net));
    }
    (flight.link, 0)
}

/// Writes the fixed part of a beginning, but for what depends on the way.
#[inline(always)]
pub fn write(hit: &Hit, base: *mut u8, flight: &Flight, picked: &Picked, kind: u16, len: u32) {
    write_head(hit, base, flight, kind, len, 0);
    // SAFETY: the reservation is at least a Began long.
    let began = unsafe { &mut *base.cast::<Began>() };
    began.response = flight.response;
    began.goid = flight.goid;
    began.content_length = picked.content_length;
    began.method_len = cut_len(picked.method.len);
    began.uri_len = cut_len(picked.uri.len);
    began.peer_len = write_peer(base, flight);
    began.tls = picked.tls;
    began.proto_major = picked.proto_major;
    began.proto_minor = picked.proto_minor;
    began.reserved = 0;
}

#[inline(always)]
fn clear_lens(began: &mut Began) {
    macro_rules! lens {
        ($($i:literal)+) => { $( put(&mut began.lens[$i], 0); )+ };
    }
    const _: () = assert!(BEGAN_SLOT_COUNT == 4);
    lens!(0 1 2 3);
}
