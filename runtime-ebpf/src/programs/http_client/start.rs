//! A round trip begins.

use aya_ebpf::{helpers::bpf_ktime_get_ns, maps::ring_buf::RingBufBytes, programs::ProbeContext};
use runtime_ebpf::{
    abi::NO_OFFSET,
    http_client::{
        File, MOST_RESENDS, REQUEST_WINDOW, URL_WINDOW,
        counters::Counter,
        records::{
            BEGAN_FRAGMENT, BEGAN_HOST, BEGAN_LARGE_SLOTS, BEGAN_METHOD, BEGAN_OPAQUE, BEGAN_PATH,
            BEGAN_QUERY, BEGAN_RAW_PATH, BEGAN_SCHEME, BEGAN_SLOT_COUNT, BEGAN_SLOTS, Began, KIND_BEGAN,
            KIND_BEGAN_LARGE,
        },
    },
};

use super::flight::{self, Client, Entry, FAILED, Flight, Key, OPEN, SAMPLED, count};
use crate::{
    enter::Hit,
    ids,
    parent::{self, Context},
    read::{GoString, known, read},
    registers::GoRegisters,
    ring, senders,
    stack::is_called_within,
    texts::{Window, fill},
};

/// Functions between two calls, one of them part of the other, that are looked through: within net/http's Transport there are 2 or 3, and
/// people put RoundTrippers there.
const MOST_FRAMES: u32 = 8;
const SMALL_SLOTS: usize = total(&BEGAN_SLOTS);
const SMALL_BYTES: usize = size_of::<Began>() + SMALL_SLOTS;
const LARGE_BYTES: usize = size_of::<Began>() + total(&BEGAN_LARGE_SLOTS);
/// The structs are read to where the strings will stand.
const RESERVED_BYTES: usize = size_of::<Began>() + REQUEST_WINDOW;
const _: () = assert!(RESERVED_BYTES >= SMALL_BYTES && REQUEST_WINDOW >= URL_WINDOW);

const fn total(slots: &[usize; BEGAN_SLOT_COUNT]) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < BEGAN_SLOT_COUNT {
        sum += slots[i];
        i += 1;
    }
    sum
}

/// What is picked out of the Request.
#[derive(Clone, Copy)]
struct Picked {
    method: GoString,
    url: u64,
    header: u64,
    response: u64,
    context: Context,
}

/// A call, by what tells whether it is part of another.
#[derive(Clone, Copy)]
pub struct Call {
    /// How deep in the stack it is.
    pub depth: u64,
    /// The record of its caller's frame ([`GoRegisters::frame`]).
    pub frame: u64,
    /// See [`Flight::back_to`].
    pub back_to: u64,
    pub request: u64,
}

impl Call {
    /// At a start site.
    #[inline(always)]
    pub fn at(hit: &Hit, ctx: &ProbeContext) -> Self {
        let depth = hit.depth(ctx.stack());
        Self { depth, frame: ctx.frame(), back_to: ctx.back_to(), request: ctx.argument::<1>() }
    }

    /// Whether it is part of the call that is open on this goroutine, or the same (another attachment of the program has seen it).
    /// `header` is what its request has: the same header alone does not say that, for who tries again by himself gives it to one call after
    /// another, and a call that sends nothing has no end.
    #[inline(always)]
    pub fn is_part_of(&self, open: &Flight, header: u64) -> bool {
        let is_it = self.depth == open.depth && self.request == open.request;
        header == open.header && (is_it || is_called_within::<MOST_FRAMES>(self.frame, open.back_to))
    }
}

/// What is picked out of the URL.
#[derive(Clone, Copy)]
struct Url {
    scheme: GoString,
    opaque: GoString,
    user: u64,
    host: GoString,
    path: GoString,
    raw_path: GoString,
    query: GoString,
    fragment: GoString,
}

/// Begins the round trip; `bias` is what the file's addresses are less than the process's.
#[inline(always)]
pub fn begin<C: Client>(hit: &Hit, file: &File, call: Call, bias: u64) {
    // SAFETY: plain helper call.
    let start_ns = unsafe { bpf_ktime_get_ns() };
    let key = Key::of(hit);
    let Some(goid) = hit.goid() else {
        count(hit, Counter::Unreadable);
        return flight::remove::<C>(hit, &key);
    };
    let Some(mut record) = ring::reserve(RESERVED_BYTES) else {
        count(hit, Counter::BeginningLost);
        return flight::remove::<C>(hit, &key);
    };
    // Behind that, as all that has ways of its own: verifiers before Linux 6.3 follow what comes behind a reservation once for each way to it.
    if file.streams != 0 && hit.passes_on() {
        senders::note_caller(hit, goid);
    }
    let base = record.as_mut_ptr();
    let Some(picked) = pick_request(file, base, call.request) else {
        count(hit, Counter::Unreadable);
        ring::discard(record);
        return flight::remove::<C>(hit, &key);
    };
    let Some((mut entry, before)) = enter_round_trip::<C>(hit, &key, goid, call, picked.header) else {
        return ring::discard(record);
    };
    let flight = entry.get_mut();
    flight.goid = goid;
    flight.library = hit.library;
    flight.header = picked.header;
    flight.context = picked.context.data;
    flight.link = 0;
    flight.start_ns = start_ns;
    flight.bias = bias;
    flight.depth = call.depth;
    flight.request = call.request;
    flight.back_to = call.back_to;
    let parent = parent::find(hit, goid, bias, picked.context);
    let identity = ids::identify(hit, start_ns, parent.trace);
    flight.set_identity(&identity, parent.kind);
    if !identity.is_sampled() {
        flight.state = OPEN;
        count(hit, Counter::Unsampled);
        return ring::discard(record);
    }
    if picked.url == 0 {
        // It is refused: nothing is sent.
        flight.state = 0;
        return ring::discard(record);
    }
    let Some(url) = pick_url(file, base, picked.url) else {
        count(hit, Counter::Unreadable);
        flight.state = 0;
        return ring::discard(record);
    };
    flight.state = OPEN | SAMPLED;
    if !send(hit, file, flight, &picked, &url, before, record) {
        flight.state = 0;
    }
}

/// The goroutine's entry for a round trip that begins, and the span there that has no end yet. `None`: it is part of the
/// one that is open (or another attachment of this program has begun it), or there is no room, which is counted.
#[inline(always)]
fn enter_round_trip<C: Client>(
    hit: &Hit,
    key: &Key,
    goid: u64,
    call: Call,
    header: u64,
) -> Option<(Entry, u64)> {
    let generation = hit.process().generation;
    let Some(mut entry) = flight::find::<C>(key) else {
        let mut made = flight::make::<C>(hit, key)?;
        made.get_mut().generation = generation;
        return Some((made, 0));
    };
    let old = entry.get_mut();
    if old.generation != generation {
        old.generation = generation;
        return Some((entry, 0));
    }
    let mut before = 0;
    if old.has(OPEN) {
        if !old.has(FAILED) {
            if old.goid == goid && call.is_part_of(old, header) {
                count(hit, Counter::Nested);
                return None;
            }
            count(hit, Counter::Replaced);
        }
        if old.has(SAMPLED) {
            before = old.span_id;
        }
    }
    Some((entry, before))
}

/// Where the strings stand, and structs before them.
#[inline(always)]
fn slots_of(base: *mut u8) -> *mut u8 {
    // SAFETY: every reservation here is longer than a Began.
    unsafe { base.add(size_of::<Began>()) }
}

/// Reads the Request in one piece and picks it apart.
#[inline(always)]
fn pick_request(file: &File, base: *mut u8, request: u64) -> Option<Picked> {
    let window = Window::<REQUEST_WINDOW>::read(slots_of(base), request, 0, file.request_bytes);
    if !window.ok() {
        return None;
    }
    let context = window.string(file.request_ctx);
    let context = if context.is_missing() {
        MISSING_CONTEXT
    } else {
        Context { itab: context.address, data: context.len }
    };
    Some(Picked {
        method: window.known_string(file.request_method),
        url: window.known_word(file.request_url),
        header: window.known_word(file.request_header),
        response: window.word(file.request_response).unwrap_or(0),
        context,
    })
}

const MISSING_CONTEXT: Context = Context { itab: 0, data: 0 };

/// The same of the URL. Fields that are not known are empty.
#[inline(always)]
fn pick_url(file: &File, base: *mut u8, url: u64) -> Option<Url> {
    let window = Window::<URL_WINDOW>::read(slots_of(base), url, 0, file.url_bytes);
    if !window.ok() {
        return None;
    }
    Some(Url {
        scheme: window.known_string(file.url_scheme),
        opaque: window.string(file.url_opaque),
        user: window.word(file.url_user).unwrap_or(0),
        host: window.known_string(file.url_host),
        path: window.known_string(file.url_path),
        raw_path: window.string(file.url_raw_path),
        query: window.string(file.url_raw_query),
        fragment: window.string(file.url_fragment),
    })
}

/// Sends the beginning. Whether there was room.
#[inline(always)]
fn send(
    hit: &Hit,
    file: &File,
    flight: &Flight,
    picked: &Picked,
    url: &Url,
    before: u64,
    mut record: RingBufBytes<'static>,
) -> bool {
    let (resends, has_user) = (resends(file, picked.response), (url.user != 0) as u32);
    if fits(picked, url) {
        let base = record.as_mut_ptr();
        flight.write_head(hit, base, KIND_BEGAN, SMALL_BYTES as u32, 0);
        write(base, before, resends, has_user);
        write_strings(base, &BEGAN_SLOTS, picked, url);
        count(hit, Counter::Started);
        ring::submit(record);
        return true;
    }
    ring::discard(record);
    let Some(mut large) = ring::reserve(LARGE_BYTES) else {
        count(hit, Counter::BeginningLost);
        return false;
    };
    let base = large.as_mut_ptr();
    flight.write_head(hit, base, KIND_BEGAN_LARGE, LARGE_BYTES as u32, 0);
    write(base, before, resends, has_user);
    write_strings(base, &BEGAN_LARGE_SLOTS, picked, url);
    count(hit, Counter::Started);
    ring::submit(large);
    true
}

#[inline(always)]
fn fits(picked: &Picked, url: &Url) -> bool {
    picked.method.fits(BEGAN_SLOTS[BEGAN_METHOD])
        && url.scheme.fits(BEGAN_SLOTS[BEGAN_SCHEME])
        && url.host.fits(BEGAN_SLOTS[BEGAN_HOST])
        && url.path.fits(BEGAN_SLOTS[BEGAN_PATH])
        && url.raw_path.fits(BEGAN_SLOTS[BEGAN_RAW_PATH])
        && url.query.fits(BEGAN_SLOTS[BEGAN_QUERY])
        && url.fragment.fits(BEGAN_SLOTS[BEGAN_FRAGMENT])
        && url.opaque.fits(BEGAN_SLOTS[BEGAN_OPAQUE])
}

#[inline(always)]
fn write(base: *mut u8, before: u64, resends: u32, has_user: u32) {
    // SAFETY: the reservation is at least a Began long, and the field lies at a multiple of 8.
    unsafe {
        let began = base.cast::<Began>();
        (&raw mut (*began).before_span_id).cast::<u64>().write_volatile(before);
        (*began).resends = resends;
        (*began).has_user = has_user;
    }
}

#[inline(always)]
fn write_strings(base: *mut u8, sizes: &[usize; BEGAN_SLOT_COUNT], picked: &Picked, url: &Url) {
    let mut slot = slots_of(base);
    macro_rules! strings {
        ($($which:ident: $text:expr;)+) => { $(
            // SAFETY: the reservation has a Began and all slots.
            unsafe {
                let len = fill(slot, sizes[$which], $text);
                (&raw mut (*base.cast::<Began>()).lens[$which]).write_volatile(len);
                slot = slot.add(sizes[$which]);
            }
        )+ };
    }
    strings! {
        BEGAN_METHOD: picked.method;
        BEGAN_SCHEME: url.scheme;
        BEGAN_HOST: url.host;
        BEGAN_PATH: url.path;
        BEGAN_RAW_PATH: url.raw_path;
        BEGAN_QUERY: url.query;
        BEGAN_FRAGMENT: url.fragment;
        BEGAN_OPAQUE: url.opaque;
    }
    let _ = slot;
}

/// How many redirects led here: `Request.Response` is the one that led to this request, and so on.
#[inline(always)]
fn resends(file: &File, response: u64) -> u32 {
    let mut response = response;
    let mut resends = 0;
    if file.response_request == NO_OFFSET {
        return (response != 0) as u32;
    }
    for _ in 0..MOST_RESENDS {
        if response == 0 {
            break;
        }
        resends += 1;
        let request = known(response, file.response_request).and_then(read::<u64>).unwrap_or(0);
        if request == 0 {
            break;
        }
        response = known(request, file.request_response).and_then(read::<u64>).unwrap_or(0);
    }
    resends
}
