//! `net/http.server`: two hits per kept-alive request, `start` and `end`; `hijack` and `abort` end the spans that `end`
//! never sees (field-notes §4).
//!
//! State between the hits is keyed by (process, goroutine): HTTP/1.x serves a connection, handler included, on one
//! goroutine. Records are built in reserved ring memory and in the in-flight entry, never in per-CPU scratch, which a
//! preempting hit would overwrite (house.md, decision 12).

use aya_ebpf::{
    helpers::{bpf_get_prandom_u32, bpf_ktime_get_ns, generated::bpf_probe_read_kernel},
    macros::{map, uprobe},
    maps::{Array, HashMap, RingBuf, ring_buf::RingBufBytes},
    programs::ProbeContext,
};
use runtime_ebpf::{
    counters::Counter,
    net_http_server::{
        ABSENT, AS_PEER, Config, IN_FLIGHT_BYTES, KIND_LARGE, KIND_SMALL, LARGE, METHOD_BYTES, NO_OFFSET,
        REQUEST_WINDOW, RESPONSE_WINDOW, Record, SLOT_CLIENT, SLOT_HOST, SLOT_METHOD, SLOT_PATTERN,
        SLOT_PEER, SLOT_QUERY, SLOT_URI, SLOT_USER_AGENT, SMALL, START_WINDOW, STATUS_UNKNOWN, Slots,
        TLS_UNKNOWN, TraceParent, URI_PATH, URI_RAW_PATH, URI_REQUEST, USER_AGENT_BYTES, record_bytes,
        slot_offset,
    },
};

use crate::{
    count::count,
    headers::{self, Found},
    identity::tgid,
    read::{GoString, opaque, read, read_bytes},
    registers::GoRegisters,
    traceparent,
};

/// Processes at once.
const MAX_PROCESSES: u32 = 1024;
/// Requests in flight at once, over all processes; preallocated.
const MAX_IN_FLIGHT: u32 = 8192;
/// 2 MiB: 2,000 small records between two polls, with a wake-up at half of it.
const RING_BYTES: u32 = 2 * 1024 * 1024;

#[map]
static NET_HTTP_SERVER: HashMap<u32, Config> = HashMap::with_max_entries(MAX_PROCESSES, 0);
#[map]
static NET_HTTP_FLIGHT: HashMap<Key, InFlight> = HashMap::with_max_entries(MAX_IN_FLIGHT, 0);
/// One zeroed value: a new in-flight entry is made from it and filled in place, since it would not fit the stack.
#[map]
static NET_HTTP_BLANK: Array<InFlight> = Array::with_max_entries(1, 0);
#[map]
static NET_HTTP_RECORDS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

#[repr(C)]
struct Key {
    goroutine: u64,
    tgid: u64,
}

/// A request between its two hits.
#[repr(C)]
struct InFlight {
    start_ns: u64,
    response: u64,
    request: u64,
    uri: GoString,
    trace_id: [u64; 2],
    span_id: u64,
    parent_span_id: u64,
    method_len: u32,
    user_agent_len: u32,
    trace_flags: u32,
    reserved: u32,
    /// Zero, as every new entry's; the verifier does not know it.
    zero: u64,
    method: [u64; METHOD_BYTES / 8],
    user_agent: [u8; USER_AGENT_BYTES],
}

const _: () = assert!(size_of::<InFlight>() == IN_FLIGHT_BYTES);

const FLAG_SAMPLED: u8 = 1;

const BPF_ANY: u64 = 0;
const BPF_NOEXIST: u64 = 1;
const EEXIST: i32 = -17;

/// How a request ended.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Finished,
    Hijacked,
    Panicked,
}

/// `serverHandler.ServeHTTP(srv, w ResponseWriter, r *Request)`, after its stack check; or, where that was inlined, behind
/// the call of `readRequest`, with its results.
#[uprobe]
pub fn net_http_server_start(ctx: ProbeContext) -> u32 {
    let tgid = tgid();
    // SAFETY: the agent replaces an entry only when the process behind it has changed.
    let Some(config) = (unsafe { NET_HTTP_SERVER.get(tgid) }) else { return 0 };
    if ctx.restarts(config.start_check) {
        count(Counter::Restarted);
        return 0;
    }
    let Some((response, request)) = begun(&ctx, config) else { return 0 };
    let key = Key { goroutine: ctx.goroutine(), tgid: tgid as u64 };
    let Some(entry) = open(&key) else { return 0 };
    // SAFETY: `open` has checked the pointer; the entry is this goroutine's until its end deletes it.
    begin(config, unsafe { &mut *entry }, response, request);
    0
}

/// The response and the request that begin here, if one does.
#[inline(always)]
fn begun(ctx: &ProbeContext, config: &Config) -> Option<(u64, u64)> {
    if config.start_after_read != 0 {
        // (w *response, err error): with an error no handler will be called.
        let refused = ctx.argument::<1>() != 0;
        let response = if refused { 0 } else { ctx.argument::<0>() };
        if response == 0 {
            return None;
        }
        return Some((response, read(response + config.response_req as u64)?));
    }
    let bias = ctx.instruction().wrapping_sub(config.start_vaddr);
    if ctx.argument::<1>() != config.writer_itab_vaddr.wrapping_add(bias) {
        count(Counter::OtherWriter);
        return None;
    }
    Some((ctx.argument::<2>(), ctx.argument::<3>()))
}

/// Makes the in-flight entry.
#[inline(always)]
fn open(key: &Key) -> Option<*mut InFlight> {
    let blank = NET_HTTP_BLANK.get(0)?;
    match NET_HTTP_FLIGHT.insert(key, blank, BPF_NOEXIST) {
        Ok(()) => {}
        Err(EEXIST) => {
            count(Counter::EntryReplaced);
            NET_HTTP_FLIGHT.insert(key, blank, BPF_ANY).ok()?;
        }
        Err(_) => {
            count(Counter::InFlightFull);
            return None;
        }
    }
    NET_HTTP_FLIGHT.get_ptr_mut(key)
}

#[inline(always)]
fn begin(config: &Config, entry: &mut InFlight, response: u64, request: u64) {
    // SAFETY: plain helper call.
    entry.start_ns = unsafe { bpf_ktime_get_ns() };
    entry.response = response;
    entry.request = request;
    // Request line and headers in one read, into where the user agent will stand.
    let mut len = config.start_bytes as u32;
    if len > START_WINDOW as u32 {
        len = START_WINDOW as u32;
    }
    let bytes = entry.user_agent.as_mut_ptr();
    let window = Window::<START_WINDOW> { bytes, ok: read_bytes(bytes, len, request) };
    let uri = window.string(config.request_request_uri);
    let method = window.string(config.request_method);
    let found = headers::find(window.word(config.request_header).unwrap_or(0), config.headers, entry.zero);
    let parent = if config.ignore_parent == 0 { remote_parent(&found) } else { None };
    identify(config, entry, parent);
    if entry.trace_flags as u8 & FLAG_SAMPLED == 0 {
        count(Counter::Unsampled);
        return;
    }
    count(Counter::Started);
    // The method is copied now, since handlers overwrite it; of the URI only where it is.
    entry.uri = uri;
    entry.method_len = match method.len {
        len if len == MISSING.len => ABSENT,
        _ => fill(entry.method.as_mut_ptr().cast(), METHOD_BYTES as u32, method),
    };
    entry.user_agent_len = match headers::first(found.user_agent) {
        Some(text) => fill(entry.user_agent.as_mut_ptr(), USER_AGENT_BYTES as u32, text),
        None => ABSENT,
    };
}

/// `base + offset`, unless the offset is not known.
#[inline(always)]
fn known(base: u64, offset: u16) -> Option<u64> {
    (offset != NO_OFFSET).then_some(base + offset as u64)
}

#[inline(always)]
fn remote_parent(found: &Found) -> Option<TraceParent> {
    let text = headers::first(found.traceparent)?;
    // Two headers are as good as none (W3C, 3.2).
    let parent = if found.traceparent.len == 1 { traceparent::parse(text) } else { None };
    if parent.is_none() {
        count(Counter::TraceparentInvalid);
    }
    parent
}

/// Trace id first, then the sampler, then a fresh span id (the SDKs' order, semconv.md §4.4).
#[inline(always)]
fn identify(config: &Config, entry: &mut InFlight, parent: Option<TraceParent>) {
    let (flags, sampled_parent) = match parent {
        Some(parent) => {
            entry.trace_id = parent.trace_id;
            entry.parent_span_id = parent.span_id;
            // Of the parent's flags only the random bit is inherited (W3C, 3.2.3).
            (parent.flags & 2, Some(parent.flags & FLAG_SAMPLED != 0))
        }
        None => {
            entry.trace_id = [random(), random() | 1 << 63];
            (0, None)
        }
    };
    let sampled = config.sampler.samples(sampled_parent, u64::from_be(entry.trace_id[1]));
    entry.trace_flags = (flags | sampled as u8) as u32;
    // Never zero: 1 of 2^63 values is shared by two, which costs nothing.
    entry.span_id = random() | 1 << 63;
}

#[inline(always)]
fn random() -> u64 {
    // SAFETY: plain helper calls.
    unsafe { (bpf_get_prandom_u32() as u64) << 32 | bpf_get_prandom_u32() as u64 }
}

/// Copies up to `capacity` bytes of a string; gives its whole length, or [`ABSENT`].
#[inline(always)]
fn fill(to: *mut u8, capacity: u32, text: GoString) -> u32 {
    if text.len == 0 {
        return 0;
    }
    let mut len = text.len;
    if len > capacity as u64 {
        len = capacity as u64;
    }
    if !read_bytes(to, len as u32, text.address) {
        return ABSENT;
    }
    if text.len > 0x7fff_ffff { 0x7fff_ffff } else { text.len as u32 }
}

/// `(*response).finishRequest(w)`: the handler has returned.
#[uprobe]
pub fn net_http_server_end(ctx: ProbeContext) -> u32 {
    let tgid = tgid();
    // SAFETY: as in `net_http_server_start`.
    let Some(config) = (unsafe { NET_HTTP_SERVER.get(tgid) }) else { return 0 };
    if ctx.restarts(config.end_check) {
        return 0;
    }
    let key = Key { goroutine: ctx.goroutine(), tgid: tgid as u64 };
    let Some(entry) = NET_HTTP_FLIGHT.get_ptr_mut(&key) else {
        count(Counter::ExitWithoutEntry);
        return 0;
    };
    // SAFETY: the entry is this goroutine's until the removal below.
    let entry = unsafe { &*entry };
    if entry.response == ctx.argument::<0>() {
        finish(config, entry, tgid, End::Finished);
    } else {
        count(Counter::ExitMismatch);
    }
    let _ = NET_HTTP_FLIGHT.remove(&key);
    0
}

/// `(*connReader).releaseConn(cr)`: the handler took the connection over and has returned.
#[uprobe]
pub fn net_http_server_hijack(ctx: ProbeContext) -> u32 {
    let tgid = tgid();
    // SAFETY: as in `net_http_server_start`.
    let Some(config) = (unsafe { NET_HTTP_SERVER.get(tgid) }) else { return 0 };
    if ctx.restarts(config.hijack_check) {
        return 0;
    }
    close(config, tgid, ctx.goroutine(), End::Hijacked);
    0
}

/// `(*conn).close(c)`, from serve's deferred function: with a request still open, its handler panicked.
#[uprobe]
pub fn net_http_server_abort(ctx: ProbeContext) -> u32 {
    let tgid = tgid();
    // SAFETY: as in `net_http_server_start`.
    let Some(config) = (unsafe { NET_HTTP_SERVER.get(tgid) }) else { return 0 };
    if ctx.restarts(config.abort_check) {
        return 0;
    }
    close(config, tgid, ctx.goroutine(), End::Panicked);
    0
}

/// Ends the goroutine's request, if it has one: at these sites most have none.
#[inline(always)]
fn close(config: &Config, tgid: u32, goroutine: u64, end: End) {
    let key = Key { goroutine, tgid: tgid as u64 };
    let Some(entry) = NET_HTTP_FLIGHT.get_ptr_mut(&key) else { return };
    // SAFETY: the entry is this goroutine's until the removal below.
    finish(config, unsafe { &*entry }, tgid, end);
    let _ = NET_HTTP_FLIGHT.remove(&key);
}

/// What the end hit picks out of the target.
struct Picked {
    uri_kind: u8,
    uri: GoString,
    query: GoString,
    host: GoString,
    client: GoString,
    pattern: GoString,
    peer: GoString,
    tls: u8,
    proto_major: u16,
    proto_minor: u16,
    status: u32,
}

/// Marks a [`GoString`] that could not be had.
const MISSING: GoString = GoString { address: 0, len: u64::MAX };

#[inline(always)]
fn finish(config: &Config, entry: &InFlight, tgid: u32, end: End) {
    if entry.trace_flags as u8 & FLAG_SAMPLED == 0 {
        return;
    }
    // SAFETY: plain helper call.
    let end_ns = unsafe { bpf_ktime_get_ns() };
    let Some(mut small) = NET_HTTP_RECORDS.reserve_bytes(record_bytes(&SMALL), 0) else {
        count(Counter::RingFull);
        return;
    };
    // The request is read whole into where the strings will stand, and picked apart there.
    let picked = pick(config, entry, small.as_mut_ptr());
    let ending = Ending { tgid, end_ns, end };
    if fits(&picked) {
        write(entry, &picked, &ending, &mut small, &SMALL, KIND_SMALL);
        submit(small);
        return;
    }
    small.discard(BPF_RB_NO_WAKEUP);
    let Some(mut large) = NET_HTTP_RECORDS.reserve_bytes(record_bytes(&LARGE), 0) else {
        count(Counter::RingFull);
        return;
    };
    write(entry, &picked, &ending, &mut large, &LARGE, KIND_LARGE);
    submit(large);
}

struct Ending {
    tgid: u32,
    end_ns: u64,
    end: End,
}

const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0;

/// The agent polls; it is woken only when half the ring is full. A wake-up per record costs the target five times as much
/// as everything else here (field-notes §10).
#[inline(always)]
fn submit(record: RingBufBytes<'_>) {
    count(Counter::Submitted);
    let half_full = NET_HTTP_RECORDS.query(BPF_RB_AVAIL_DATA) > RING_BYTES as u64 / 2;
    record.submit(if half_full { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP });
}

/// Do all strings fit into the small slots?
#[inline(always)]
fn fits(picked: &Picked) -> bool {
    picked.uri_kind == URI_REQUEST
        && short(picked.uri, SMALL[SLOT_URI])
        && short(picked.host, SMALL[SLOT_HOST])
        && short(picked.client, SMALL[SLOT_CLIENT])
        && short(picked.pattern, SMALL[SLOT_PATTERN])
        && short(picked.peer, SMALL[SLOT_PEER])
}

#[inline(always)]
fn short(text: GoString, capacity: usize) -> bool {
    text.len == MISSING.len || text.len <= capacity as u64
}

#[inline(always)]
fn pick(config: &Config, entry: &InFlight, record: *mut u8) -> Picked {
    // SAFETY: the small record has room for both windows behind its header (pinned by a test).
    let (window, response) = unsafe {
        let window = record.add(size_of::<Record>());
        (window, window.add(REQUEST_WINDOW))
    };
    let mut len = config.request_bytes as u32;
    if len > REQUEST_WINDOW as u32 {
        len = REQUEST_WINDOW as u32;
    }
    let ok = read_bytes(window, len, entry.request);
    let window = Window::<REQUEST_WINDOW> { bytes: window, ok };
    let mut len = config.response_bytes as u32;
    if len > RESPONSE_WINDOW as u32 {
        len = RESPONSE_WINDOW as u32;
    }
    let ok = read_bytes(response, len, entry.response);
    let response = Window::<RESPONSE_WINDOW> { bytes: response, ok };
    let mut picked = Picked {
        uri_kind: URI_REQUEST,
        uri: window.string(config.request_request_uri),
        query: MISSING,
        host: window.string(config.request_host),
        client: window.string(config.request_remote_addr),
        pattern: window.string(config.request_pattern),
        peer: MISSING,
        tls: match window.word(config.request_tls) {
            Some(pointer) => (pointer != 0) as u8,
            None => TLS_UNKNOWN,
        },
        proto_major: window.word(config.request_proto_major).unwrap_or(0) as u16,
        proto_minor: window.word(config.request_proto_minor).unwrap_or(0) as u16,
        status: match response.word(config.response_status) {
            Some(status) => status as u32,
            // The end of the struct may lie on a page that was never touched; a status of its own then says so.
            None => known(entry.response, config.response_status)
                .and_then(read::<u64>)
                .map_or(STATUS_UNKNOWN, |status| status as u32),
        },
    };
    if let Some(pat) = window.word(config.request_pat) {
        picked.pattern = string_in(pat, config.pattern_str);
    }
    pick_url(config, entry, window.word(config.request_url).unwrap_or(0), &mut picked);
    let conn = response.word(config.response_conn);
    if let Some(conn) = conn.or_else(|| known(entry.response, config.response_conn).and_then(read::<u64>)) {
        picked.peer = string_in(conn, config.conn_remote_addr);
    }
    picked
}

/// RequestURI is the wire's own spelling, and alive as long as the request still points at it. Handlers that reuse a request
/// for a client clear it: then the URL it has now is all there is. A URI longer than its slot needs the query beside it.
#[inline(always)]
fn pick_url(config: &Config, entry: &InFlight, url: u64, picked: &mut Picked) {
    let unchanged = picked.uri.address == entry.uri.address && picked.uri.len == entry.uri.len;
    if unchanged && picked.uri.len <= LARGE[SLOT_URI] as u64 {
        return;
    }
    if url == 0 {
        picked.uri = if unchanged { picked.uri } else { MISSING };
        return;
    }
    picked.query = string_in(url, config.url_raw_query);
    if unchanged {
        return;
    }
    picked.uri_kind = URI_RAW_PATH;
    picked.uri = string_in(url, config.url_raw_path);
    if picked.uri.len == 0 {
        picked.uri_kind = URI_PATH;
        picked.uri = string_in(url, config.url_path);
    }
}

/// The string header at `base + offset`; the empty string for a null base.
#[inline(always)]
fn string_in(base: u64, offset: u16) -> GoString {
    if base == 0 {
        return GoString { address: 0, len: 0 };
    }
    known(base, offset).and_then(read::<GoString>).unwrap_or(MISSING)
}

/// The head of a struct of the target, copied to where `SIZE` bytes have room.
struct Window<const SIZE: usize> {
    bytes: *mut u8,
    ok: bool,
}

impl<const SIZE: usize> Window<SIZE> {
    #[inline(always)]
    fn word(&self, offset: u16) -> Option<u64> {
        if !self.ok || offset == NO_OFFSET {
            return None;
        }
        // A multiple of 8 below the window's size, as the verifier sees it.
        let offset = (opaque(offset as u64) & (SIZE as u64 - 8)) as usize;
        // SAFETY: the mask leaves offsets up to SIZE - 8; sizes are powers of two.
        Some(unsafe { self.bytes.add(offset).cast::<u64>().read_volatile() })
    }

    #[inline(always)]
    fn string(&self, offset: u16) -> GoString {
        match (self.word(offset), self.word(offset.wrapping_add(8))) {
            (Some(address), Some(len)) if offset != NO_OFFSET => GoString { address, len },
            _ => MISSING,
        }
    }
}

#[inline(always)]
fn write(
    entry: &InFlight,
    picked: &Picked,
    ending: &Ending,
    record: &mut RingBufBytes<'_>,
    slots: &Slots,
    kind: u32,
) {
    let base = record.as_mut_ptr();
    // SAFETY: the reservation is at least a Record long and aligned to 8.
    let header = unsafe { &mut *base.cast::<Record>() };
    header.kind = kind;
    header.tgid = ending.tgid;
    header.start_ns = entry.start_ns;
    header.end_ns = ending.end_ns;
    // SAFETY: [u8; 16] and [u8; 8] at multiples of 8 in a repr(C) struct (pinned by a test): word stores.
    unsafe {
        let ids = header.trace_id.as_mut_ptr().cast::<u64>();
        ids.write_volatile(entry.trace_id[0]);
        ids.add(1).write_volatile(entry.trace_id[1]);
        header.span_id.as_mut_ptr().cast::<u64>().write_volatile(entry.span_id);
        header.parent_span_id.as_mut_ptr().cast::<u64>().write_volatile(entry.parent_span_id);
    }
    header.trace_flags = entry.trace_flags as u8;
    header.panicked = (ending.end == End::Panicked) as u8;
    header.hijacked = (ending.end == End::Hijacked) as u8;
    header.tls = picked.tls;
    header.uri_kind = picked.uri_kind;
    header.has_query = (picked.query.len != MISSING.len) as u8;
    header.reserved = 0;
    header.status = picked.status;
    header.proto_major = picked.proto_major;
    header.proto_minor = picked.proto_minor;
    let strings = [
        (SLOT_URI, picked.uri),
        (SLOT_QUERY, picked.query),
        (SLOT_HOST, picked.host),
        (SLOT_PEER, picked.peer),
        (SLOT_PATTERN, picked.pattern),
    ];
    macro_rules! put {
        ($($index:literal)+) => { $( {
            let (slot, text) = strings[$index];
            header.lens[slot] = string(base, slots, slot, text);
        } )+ };
    }
    put!(0 1 2 3 4);
    let same = picked.client.address == picked.peer.address && picked.client.len == picked.peer.len;
    header.lens[SLOT_CLIENT] = if same { AS_PEER } else { string(base, slots, SLOT_CLIENT, picked.client) };
    header.lens[SLOT_METHOD] = entry.method_len;
    header.lens[SLOT_USER_AGENT] = entry.user_agent_len;
    remembered(base, entry, slots);
}

/// The strings that the start hit kept.
#[inline(always)]
fn remembered(base: *mut u8, entry: &InFlight, slots: &Slots) {
    macro_rules! word {
        ($($i:literal)+) => { $(
            // SAFETY: the method slot is METHOD_BYTES long and aligned to 8.
            unsafe { base.add(slot_offset(slots, SLOT_METHOD)).cast::<u64>().add($i).write_volatile(entry.method[$i]) };
        )+ };
    }
    word!(0 1 2 3);
    let mut len = entry.user_agent_len;
    if len == ABSENT || len == 0 {
        return;
    }
    if len > USER_AGENT_BYTES as u32 {
        len = USER_AGENT_BYTES as u32;
    }
    // SAFETY: both sides have USER_AGENT_BYTES. Kernel memory to kernel memory cannot fault.
    unsafe {
        bpf_probe_read_kernel(
            base.add(slot_offset(slots, SLOT_USER_AGENT)).cast(),
            len,
            entry.user_agent.as_ptr().cast(),
        );
    }
}

#[inline(always)]
fn string(base: *mut u8, slots: &Slots, slot: usize, text: GoString) -> u32 {
    if text.len == MISSING.len {
        return ABSENT;
    }
    if slots[slot] == 0 {
        return 0;
    }
    // SAFETY: the slot lies within the reservation.
    fill(unsafe { base.add(slot_offset(slots, slot)) }, slots[slot] as u32, text)
}
