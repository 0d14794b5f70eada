//! A request begins: whose entry, whose trace, and is it recorded?

use runtime_ebpf::{
    abi::{HTTP_SERVER_TABLE, MapWalk},
    counters::Counter as Core,
    http_server::{RequestFields, counters::Counter},
    record::{PARENT_NONE, PARENT_REMOTE, PARENT_SENDER},
    trace_parent::TraceParent,
};

use super::{
    count,
    flight::{self, ANNOUNCED, Entry, Flight, Key, OPEN, SAMPLED, STATED, UNASKED},
};
use crate::{
    count::count as count_core,
    current,
    enter::Hit,
    header_names::{HttpNames, TRACEPARENT},
    headers::Found,
    ids,
    read::{known, put, read},
    senders, traceparent,
};

/// Whether no parent can change that this request is not sampled. It is then entered without its goroutine being asked for its id.
#[inline(always)]
pub fn is_unsampled(hit: &Hit, start_ns: u64, response: u64) -> bool {
    if hit.takes_parents() || hit.asks_for_parents() || ids::identify(hit, start_ns, None).is_sampled() {
        return false;
    }
    unsampled_unasked(hit, response);
    true
}

/// The entry of the goroutine for a request that begins. `None`: another attachment of this program has begun it already, or
/// it cannot be, which is counted.
#[inline(always)]
pub fn enter_request(hit: &Hit, response: u64) -> Option<Entry> {
    let key = Key::of(hit);
    let generation = hit.process().generation;
    let found = flight::find(&key);
    let Some(goid) = hit.goid() else {
        count(hit, Counter::Unidentified);
        return None;
    };
    let Some(mut entry) = found else {
        let mut made = flight::make(hit, &key)?;
        made.get_mut().hand_over(generation, goid);
        return Some(made);
    };
    let old = entry.get_mut();
    if old.generation != generation {
        hit.add_entries(HTTP_SERVER_TABLE, 1);
        old.hand_over(generation, goid);
        return Some(entry);
    }
    let same = old.goid == goid;
    if old.has(OPEN) {
        if old.response == response && (same || old.has(UNASKED)) {
            count_core(Core::Doubled);
            return None;
        }
        note_replaced(hit, old);
    }
    if !same {
        old.hand_over(generation, goid);
    }
    Some(entry)
}

#[inline(always)]
fn unsampled_unasked(hit: &Hit, response: u64) {
    let key = Key::of(hit);
    let generation = hit.process().generation;
    let found = flight::find(&key);
    let Some(mut entry) = found.or_else(|| flight::make(hit, &key)) else { return };
    let flight = entry.get_mut();
    if flight.generation != generation {
        if found.is_some() {
            hit.add_entries(HTTP_SERVER_TABLE, 1);
        }
        flight.hand_over(generation, 0);
    } else if flight.has(OPEN) {
        if flight.response == response {
            count_core(Core::Doubled);
            return;
        }
        note_replaced(hit, flight);
    }
    flight.state = OPEN | UNASKED;
    flight.response = response;
    flight.library = hit.library;
    count(hit, Counter::Unsampled);
}

/// The request that was open on this goroutine passed none of the probes at its end.
#[inline(always)]
fn note_replaced(hit: &Hit, old: &Flight) {
    let unannounced = old.has(SAMPLED) && !old.has(ANNOUNCED);
    count(hit, if unannounced { Counter::ReplacedUnannounced } else { Counter::Replaced });
}

/// The parent that the headers name.
#[inline(always)]
pub fn remote_parent(hit: &Hit, walk: &MapWalk, found: &mut Found<HttpNames>) -> Option<TraceParent> {
    if !hit.extracts() {
        return None;
    }
    if !found.has_any(&[TRACEPARENT]) {
        return None;
    }
    // Two headers are as good as none (W3C, 3.2).
    let parent = traceparent::parse(found.only(TRACEPARENT, walk));
    if parent.is_none() {
        count_core(Core::TraceparentInvalid);
    }
    parent
}

/// Gives the request its identity. Whether it is to be recorded. Where it names no parent, that is the span that has sent it, if that can be
/// told: `link` says over which connection it has come, and as which stream.
#[inline(always)]
pub fn admit(
    hit: &Hit,
    fields: &RequestFields,
    flight: &mut Flight,
    parent: Option<TraceParent>,
    announced: u32,
    link: impl FnOnce(&mut Flight) -> (u64, u64),
) -> bool {
    let mut remote = if parent.is_some() { PARENT_REMOTE } else { PARENT_NONE };
    let mut parent = parent;
    if parent.is_none() && hit.correlates() && senders::are_there() {
        let (link, stream) = link(flight);
        parent = senders::find(link, stream);
        remote = if parent.is_some() { PARENT_SENDER } else { PARENT_NONE };
        // What was read while the kernel wrote it would stay wrong as long as the connection is there: now and then it is read again.
        if parent.is_none() && flight.start_ns & 15 == 0 {
            put(&mut flight.link, 0);
        }
    }
    let identity = ids::identify(hit, flight.start_ns, parent);
    flight.set_identity(&identity, remote);
    let sampled = identity.is_sampled();
    flight.state = if sampled { OPEN | SAMPLED | announced } else { OPEN | announced & STATED };
    if hit.asks_for_parents() {
        // The second word of an interface value is its data.
        let context = known(flight.request, fields.ctx).and_then(|ctx| read::<u64>(ctx + 8));
        current::open(hit, flight.goid, context.unwrap_or(0), &identity);
    }
    count(hit, if sampled { Counter::Started } else { Counter::Unsampled });
    sampled
}
