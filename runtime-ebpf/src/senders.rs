//! Who sends what comes over a connection: written by clients' programs before it is sent, read by servers' when it arrives.
//!
//! A place is used again at once by the kernel, while somebody may be reading it: so a reader copies what is there and compares its
//! seal, as in [`crate::current`].

use aya_ebpf::{
    macros::map,
    maps::{Array, LruHashMap},
};
use runtime_ebpf::{
    counters::Counter,
    sockets::{CallerKey, MOST_SENDERS, NO_LINK, Sender, SenderKey},
    trace_parent::TraceParent,
};

use crate::{
    count::count,
    enter::{Hit, is_present},
    whole_key::WholeKey as _,
};

/// Preallocated. What nobody removes (a process was killed, a stream was never ended) gives way in time: no connection has its key again.
#[map]
static SENDERS: LruHashMap<SenderKey, Sender> = LruHashMap::with_max_entries(MOST_SENDERS, 0);
#[map]
static SENDING: Array<u64> = Array::with_max_entries(1, 0);
#[map]
static CALLERS: LruHashMap<CallerKey, u64> = LruHashMap::with_max_entries(MOST_SENDERS, 0);

/// Whether anybody sends at all: a machine without a traced client has nothing to look up.
#[inline(always)]
pub fn are_there() -> bool {
    // SAFETY: the pointer is the map's. Volatile: programs on other processors write to it.
    SENDING.at(0).is_some_and(|sending| unsafe { sending.as_ptr().read_volatile() != 0 })
}

/// From now on it is this span that sends over the connection.
#[inline(always)]
pub fn note(hit: &Hit, link: u64, stream: u64, span: TraceParent) {
    if link == NO_LINK {
        return count(Counter::ConnectionUnknown);
    }
    let key = SenderKey { link, stream };
    if !insert(hit, &key, span) {
        return;
    }
    // All processors read this word: it is written once.
    if !are_there()
        && let Some(sending) = SENDING.at(0)
    {
        // SAFETY: as above.
        unsafe { sending.as_ptr().write_volatile(1) };
    }
}

/// Whether it has found room. No place gives way where all were used just now by programs on other processors.
#[inline(always)]
fn insert(hit: &Hit, key: &SenderKey, span: TraceParent) -> bool {
    let [first, second] = span.trace_id;
    let (span_id, trace_flags) = (span.span_id, span.flags as u64);
    let process = hit.present();
    let seal = key.link ^ key.stream ^ first ^ second ^ span_id ^ trace_flags ^ process;
    let sender = Sender { trace_id: span.trace_id, span_id, trace_flags, process, seal, ended: 0 };
    let has_room = SENDERS.insert(key, &sender, 0).is_ok();
    if !has_room {
        count(Counter::SenderLost);
    }
    has_room
}

/// From now on nobody is known who sends over it.
#[inline(always)]
pub fn forget(link: u64, stream: u64) {
    // It may have given way.
    let _ = SENDERS.remove(&SenderKey { link, stream });
}

/// What the span has sent over the connection is answered: what comes now is not its. Another one's place may be here by now: it has another id.
#[inline(always)]
pub fn end(link: u64, stream: u64, span_id: u64) {
    if let Some(sender) = SENDERS.get_ptr_mut(&SenderKey { link, stream }) {
        // SAFETY: the pointer is the map's. Volatile: others read it meanwhile.
        unsafe { (&raw mut (*sender).ended).write_volatile(span_id) };
    }
}

/// Who sends it.
#[inline(always)]
pub fn find(link: u64, stream: u64) -> Option<TraceParent> {
    if link == NO_LINK {
        count(Counter::ConnectionUnknown);
        return None;
    }
    let found = get(&SenderKey { link, stream });
    count(if found.is_some() { Counter::Correlated } else { Counter::SenderUnknown });
    found
}

#[inline(always)]
fn get(key: &SenderKey) -> Option<TraceParent> {
    let sender = SENDERS.get_ptr(key)?;
    macro_rules! word {
        // SAFETY: the pointer is the map's. Volatile: somebody else may write to it meanwhile.
        ($($field:tt)+) => { unsafe { (&raw const (*sender).$($field)+).read_volatile() } };
    }
    let (first, second) = (word!(trace_id[0]), word!(trace_id[1]));
    let (span_id, flags) = (word!(span_id), word!(trace_flags));
    let (process, ended) = (word!(process), word!(ended));
    if key.link ^ key.stream ^ first ^ second ^ span_id ^ flags ^ process != word!(seal) {
        count(Counter::SenderLost);
        return None;
    }
    if ended == span_id || !is_present((process >> 32) as u32, process as u32) {
        return None;
    }
    Some(TraceParent { trace_id: [first, second], span_id, flags: flags as u8 })
}

/// Where a process keeps at an address what it will send: a place of the same map, since it is needed until that is sent.
#[inline(always)]
fn kept(hit: &Hit, address: u64) -> SenderKey {
    // The numbers of HTTP/2's streams have 31 bits.
    SenderKey { link: address, stream: 1 << 63 | hit.tgid as u64 }
}

/// What the process keeps at this address will be sent for that span; `None`: for nobody's.
#[inline(always)]
pub fn keep(hit: &Hit, address: u64, span: Option<TraceParent>) {
    let key = kept(hit, address);
    match span {
        Some(span) => {
            insert(hit, &key, span);
        }
        // Nothing may have been kept.
        None => {
            let _ = SENDERS.remove(&key);
        }
    }
}

/// For which span that is sent, which is asked once: the address is used again.
#[inline(always)]
pub fn take(hit: &Hit, address: u64) -> Option<TraceParent> {
    let key = kept(hit, address);
    let span = get(&key)?;
    // It was there just now.
    let _ = SENDERS.remove(&key);
    Some(span)
}

/// This goroutine makes calls that another one sends. It is looked up each time, so that others give way who have made none for longer.
#[inline(always)]
pub fn note_caller(hit: &Hit, goid: u64) {
    // A process that was there before may have had the same id, for its goroutine too.
    if caller(hit, goid) == Some(hit.goroutine) {
        return;
    }
    let key = CallerKey { goid, tgid: hit.tgid as u64 };
    if CALLERS.insert(&key, &hit.goroutine, 0).is_err() {
        count(Counter::SenderLost);
    }
}

/// The `g` of the goroutine with this id, if it makes calls.
#[inline(always)]
pub fn caller(hit: &Hit, goid: u64) -> Option<u64> {
    let key = CallerKey { goid, tgid: hit.tgid as u64 };
    let caller = CALLERS.get_ptr(&key)?;
    // SAFETY: the pointer is the map's.
    Some(unsafe { caller.read_volatile() })
}
