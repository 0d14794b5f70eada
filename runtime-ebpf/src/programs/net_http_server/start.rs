//! A request begins: the fast way, and the decision to take it.
//!
//! On a connection's second and later requests, with its text whole in the `bufio.Reader`: four reads of structs, the text,
//! and the request line to compare it with.

use aya_ebpf::{helpers::bpf_ktime_get_ns, maps::ring_buf::RingBufBytes};
use runtime_ebpf::{
    abi::SWITCH_NO_TEXT,
    counters::Counter as Core,
    net_http_server::{
        File, LARGE_TEXT, LINE_BYTES, READER_WINDOW, REQUEST_WINDOW, SMALL_TEXT, TLS_UNKNOWN,
        counters::Counter,
        records::{BEGAN_SLOT_COUNT, Began, KIND_BEGAN_WIRE, PEER_BYTES},
    },
    record::{ABSENT, PARENT_NONE, PARENT_REMOTE},
    trace_parent::TraceParent,
};

use super::{
    count,
    end::write_head,
    flight::{self, ANNOUNCED, Entry, Flight, KEPT_PEER, Key, OPEN, PENDING, SAMPLED, UNASKED},
    wire,
};
use crate::{
    count::count as count_core,
    enter::Hit,
    ids::{self, Identity},
    read::{GoString, known, read},
    ring,
    texts::{Window, cut_len, fill, string_in},
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

/// Begins the request. `true`: the entry is made, and `fields` has to go on.
#[inline(always)]
pub fn begin(hit: &Hit, file: &File, response: u64, request: u64) -> bool {
    // SAFETY: plain helper call.
    let start_ns = unsafe { bpf_ktime_get_ns() };
    let key = Key::of(hit);
    let found = flight::find(&key);
    let generation = hit.process().generation;
    let mut new = Flight {
        generation,
        state: OPEN,
        goid: 0,
        response,
        request,
        conn: 0,
        bufr: 0,
        peer_address: 0,
        peer_len: 0,
        trace_flags: 0,
        parent: PARENT_NONE,
        zero: 0,
        start_ns,
        trace_id: [0; 2],
        span_id: 0,
        parent_span_id: 0,
        peer: [0; KEPT_PEER / 8],
    };
    if !hit.extracts() && !ids::identify(hit, start_ns, None).is_sampled() {
        return unsampled_unasked(hit, &key, found, &mut new);
    }
    let Some(goid) = hit.goid() else {
        count(Counter::Unidentified);
        return false;
    };
    new.goid = goid;
    let Some(kept) = examine(found, &new) else { return false };
    if fast(hit, file, &key, found, kept, &mut new) {
        return false;
    }
    new.state = OPEN | PENDING;
    flight::store(hit, &key, found, &new)
}

/// No parent can change that this request is not sampled: it is not even asked which goroutine it is on.
#[inline(always)]
fn unsampled_unasked(hit: &Hit, key: &Key, found: Option<Entry>, new: &mut Flight) -> bool {
    if let Some(mut entry) = found
        && entry.get().generation == new.generation
    {
        let old = entry.get_mut();
        if old.has(OPEN) && old.response == new.response {
            count_core(Core::Doubled);
            return false;
        }
        note_replaced(old);
        old.state = OPEN | UNASKED;
        old.response = new.response;
    } else {
        new.state = OPEN | UNASKED;
        if !flight::store(hit, key, found, new) {
            return false;
        }
    }
    count(Counter::Unsampled);
    false
}

/// Looks at the entry that was found: is it this goroutine's connection? `None`: another attachment of this program has begun
/// the request already.
#[inline(always)]
fn examine(found: Option<Entry>, new: &Flight) -> Option<bool> {
    let Some(entry) = found else { return Some(false) };
    let old = entry.get();
    if old.generation != new.generation {
        return Some(false);
    }
    let same = old.goid == new.goid;
    if old.has(OPEN) {
        if old.response == new.response && (same || old.has(UNASKED)) {
            count_core(Core::Doubled);
            return None;
        }
        note_replaced(old);
    }
    Some(same)
}

#[inline(always)]
fn note_replaced(old: &Flight) {
    if old.has(OPEN) {
        count(if old.has(SAMPLED) && !old.has(ANNOUNCED) { Counter::ReplacedUnannounced } else { Counter::Replaced });
    }
}

/// Takes the fast way. `false`: it is not open, and nothing has happened.
#[inline(always)]
fn fast(hit: &Hit, file: &File, key: &Key, found: Option<Entry>, kept: bool, new: &mut Flight) -> bool {
    if hit.process().switches & SWITCH_NO_TEXT != 0 {
        return false;
    }
    let Some(mut small) = ring::reserve(SMALL_BYTES) else { return false };
    let base = small.as_mut_ptr();
    let Some(picked) = pick(file, base, new.request) else {
        ring::discard(small);
        return false;
    };
    let connected = connect(file, base, found.filter(|_| kept), new, picked.remote);
    let Some((buffer, len)) = connected.then(|| reader(file, base, new.bufr)).flatten() else {
        ring::discard(small);
        return false;
    };
    if len <= SMALL_TEXT as u64 {
        return text::<SMALL_TEXT>(hit, key, found, new, &picked, small, buffer, len);
    }
    ring::discard(small);
    if len > LARGE_TEXT as u64 {
        return false;
    }
    let Some(large) = ring::reserve(LARGE_BYTES) else { return false };
    text::<LARGE_TEXT>(hit, key, found, new, &picked, large, buffer, len)
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
    let window = Window::<REQUEST_WINDOW>::read(text_of(base), request, 0, file.request_bytes);
    if !window.ok() {
        return None;
    }
    Some(Picked {
        method: window.string(file.request_method),
        uri: window.string(file.request_request_uri),
        remote: window.string(file.request_remote_addr),
        header: window.word(file.request_header).unwrap_or(0),
        content_length: window.word(file.request_content_length).unwrap_or(0) as i64,
        tls: window.word(file.request_tls).map_or(TLS_UNKNOWN, |pointer| (pointer != 0) as u8),
        proto_major: window.word(file.request_proto_major).unwrap_or(0) as u8,
        proto_minor: window.word(file.request_proto_minor).unwrap_or(0) as u8,
    })
}

/// The connection: the kept one, if its goroutine is the same and its remote address is the very string that this Request
/// has; else its fields are read. The peer's text goes into the record and, where it fits, into the entry.
#[inline(always)]
fn connect(file: &File, base: *mut u8, kept: Option<Entry>, new: &mut Flight, remote: GoString) -> bool {
    // SAFETY: the reservation is at least a Began long; the field lies at a multiple of 8 (pinned by a test).
    let peer = unsafe { (&raw mut (*base.cast::<Began>()).peer).cast::<u8>() };
    if let Some(old) = kept.map(|entry| entry.get())
        && old.bufr != 0
        && old.peer_address == remote.address
        && old.peer_len as u64 == remote.len
    {
        new.conn = old.conn;
        new.bufr = old.bufr;
        new.peer_address = old.peer_address;
        new.peer_len = old.peer_len;
        macro_rules! words {
            ($($i:literal)+) => { $( {
                new.peer[$i] = old.peer[$i];
                // SAFETY: the record's field is longer than what an entry keeps.
                unsafe { peer.cast::<u64>().add($i).write_volatile(old.peer[$i]) };
            } )+ };
        }
        words!(0 1 2);
        return old.peer_len <= KEPT_PEER as u32 || fill(peer, PEER_BYTES, remote) != ABSENT;
    }
    let Some(conn) = known(new.response, file.response_conn).and_then(read::<u64>) else { return false };
    let Some(bufr) = known(conn, file.conn_bufr).and_then(read::<u64>) else { return false };
    let address = string_in(conn, file.conn_remote_addr);
    let len = fill(peer, PEER_BYTES, address);
    if len == ABSENT {
        return false;
    }
    new.conn = conn;
    new.bufr = bufr;
    new.peer_address = address.address;
    new.peer_len = len;
    if len <= KEPT_PEER as u32 {
        macro_rules! words {
            ($($i:literal)+) => { $(
                // SAFETY: as above. What lies behind the text is of no meaning, and nobody reads it.
                new.peer[$i] = unsafe { peer.cast::<u64>().add($i).read_volatile() };
            )+ };
        }
        words!(0 1 2);
    }
    true
}

/// `bufio.Reader`: the address of its buffer, and how much of that has been consumed: the text that was read last.
#[inline(always)]
fn reader(file: &File, base: *mut u8, bufr: u64) -> Option<(u64, u64)> {
    let window = Window::<READER_WINDOW>::read(text_of(base), bufr, 0, file.reader_bytes);
    let (buffer, len) = (window.word(file.reader_buf)?, window.word(file.reader_r)?);
    (len > 0).then_some((buffer, len))
}

/// Takes the text, if it proves to be this request's, and sends the beginning.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "inlined twice; a struct of them would live on the programs' small stack")]
fn text<const ROOM: usize>(
    hit: &Hit,
    key: &Key,
    found: Option<Entry>,
    new: &mut Flight,
    picked: &Picked,
    mut record: RingBufBytes<'static>,
    buffer: u64,
    len: u64,
) -> bool {
    let base = record.as_mut_ptr();
    let Some(wire) = wire::take::<ROOM>(text_of(base), buffer, len, picked) else {
        ring::discard(record);
        return false;
    };
    if picked.proto_major == 2 {
        count(Counter::Http2);
        ring::discard(record);
        return true;
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
    let announced = admit(hit, key, found, new, parent, ANNOUNCED);
    if !announced {
        ring::discard(record);
        return true;
    }
    write(hit, base, new, picked, KIND_BEGAN_WIRE, (size_of::<Began>() + len as usize) as u32);
    // SAFETY: the reservation is at least a Began long.
    let began = unsafe { &mut *base.cast::<Began>() };
    began.header_count = wire.header_count;
    began.text_len = len as u32;
    clear_lens(began);
    count(Counter::Text);
    ring::submit(record);
    true
}

/// Gives the request its identity and stores its entry. Whether it is to be recorded (and found room).
#[inline(always)]
pub fn admit(
    hit: &Hit,
    key: &Key,
    found: Option<Entry>,
    new: &mut Flight,
    parent: Option<TraceParent>,
    announced: u32,
) -> bool {
    let remote = if parent.is_some() { PARENT_REMOTE } else { PARENT_NONE };
    let identity: Identity = ids::identify(hit, new.start_ns, parent);
    new.set_identity(&identity, remote);
    let sampled = identity.is_sampled();
    new.state = if sampled { OPEN | SAMPLED | announced } else { OPEN };
    if !flight::store(hit, key, found, new) {
        return false;
    }
    count(if sampled { Counter::Started } else { Counter::Unsampled });
    sampled
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
    began.peer_len = flight.peer_len;
    began.tls = picked.tls;
    began.proto_major = picked.proto_major;
    began.proto_minor = picked.proto_minor;
    began.reserved = 0;
}

#[inline(always)]
fn clear_lens(began: &mut Began) {
    macro_rules! lens {
        ($($i:literal)+) => { $( began.lens[$i] = 0; )+ };
    }
    const _: () = assert!(BEGAN_SLOT_COUNT == 4);
    lens!(0 1 2 3);
}
