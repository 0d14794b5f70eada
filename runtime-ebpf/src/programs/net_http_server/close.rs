//! The sites at which a request ends: which of them means what, and what proves that the entry is this request's.

use runtime_ebpf::{
    counters::Counter as Core,
    http_server::{
        STATUS_UNKNOWN,
        counters::Counter,
        records::{HOW_FINISHED, HOW_HIJACKED, HOW_UNKNOWN},
    },
    net_http_server::{File, counters::Counter as Own},
    record::PARENT_NONE,
};

use super::{
    super::http_server::{
        count,
        end::{self, Ending},
        flight::{self, ANNOUNCED, Entry, Flight, HOW_SHIFT, KEPT_PEER, Key, OPEN, SAMPLED},
        how::how,
    },
    count_own,
};
use crate::{
    count::count as count_core,
    enter::Hit,
    read::{known, read},
    texts::{MISSING, string_in},
};

/// `finishRequest(w)`; where that was inlined, its call of `abortPendingRead(cr)`, which proves as much: the reader is the
/// connection's, and leads to it. `true`: `whole` has to go on.
#[inline(always)]
pub fn finished(hit: &Hit, file: &File, argument: u64) -> bool {
    let key = Key::of(hit);
    let Some(entry) = flight::live(hit, &key) else {
        count(hit, Counter::BeganBefore);
        return false;
    };
    let kept = entry.get();
    let response = if file.end_by_reader == 0 {
        argument
    } else if known(argument, file.conn_reader_conn).and_then(read::<u64>) == Some(kept.conn) {
        kept.response
    } else {
        0
    };
    if !kept.has(OPEN) {
        // Another attachment of this program has ended it already.
        if kept.response == response {
            count_core(Core::Doubled)
        } else {
            count(hit, Counter::BeganBefore)
        }
        return false;
    }
    if kept.response != response {
        flight::mismatch(hit, &key, kept);
        return false;
    }
    if kept.has(SAMPLED) {
        if hit.goid() != Some(kept.goid) {
            flight::mismatch(hit, &key, kept);
            return false;
        }
        if leave_to_whole(entry, HOW_FINISHED) {
            return true;
        }
        send(hit, file, kept, HOW_FINISHED);
    }
    flight::rest(hit, &key, entry);
    false
}

/// `Hijack(w)`. The connection is nobody's that net/http knows from here on, so the entry goes.
#[inline(always)]
pub fn hijacked(hit: &Hit, file: &File, response: u64) -> bool {
    let key = Key::of(hit);
    let entry =
        flight::live(hit, &key).filter(|entry| entry.get().has(OPEN) && entry.get().response == response);
    let Some(entry) = entry else {
        hijacked_elsewhere(hit, file, response);
        return false;
    };
    let kept = entry.get();
    if kept.has(SAMPLED) {
        if hit.goid() != Some(kept.goid) {
            flight::mismatch(hit, &key, kept);
            return false;
        }
        if leave_to_whole(entry, HOW_HIJACKED) {
            return true;
        }
        send(hit, file, kept, HOW_HIJACKED);
    }
    flight::remove(hit, &key);
    false
}

/// A goroutine that serves no request hijacks one: the agent knows whose response it is, if it was recorded at all.
#[inline(always)]
fn hijacked_elsewhere(hit: &Hit, file: &File, response: u64) {
    count_own(Own::HijackedElsewhere);
    let nobody = Flight {
        generation: hit.process().generation,
        state: 0,
        goid: 0,
        response,
        request: 0,
        conn: 0,
        extra: 0,
        peer_address: 0,
        peer_len: 0,
        trace_flags: 0,
        parent: PARENT_NONE,
        library: hit.library,
        start_ns: 0,
        trace_id: [0; 2],
        span_id: 0,
        parent_span_id: 0,
        peer: [0; KEPT_PEER / 8],
        link: 0,
    };
    // The address of a response is used again: the peer, which the response names, is what the agent compares.
    let conn = known(response, file.response_conn).and_then(read::<u64>).unwrap_or(0);
    let peer = string_in(conn, file.conn_remote_addr);
    end::send_blind(hit, &nobody, status(file, response), HOW_HIJACKED, peer);
}

/// `releaseConn(cr)`, or the return of serve's deferred function: a hijacked connection is left. Here nothing need keep the
/// response alive any more, so nothing that the entry keeps is followed; mostly `Hijack` has ended the span and removed it.
#[inline(always)]
pub fn released(hit: &Hit, file: &File, reader: u64) {
    let key = Key::of(hit);
    let Some(entry) = flight::live(hit, &key) else { return };
    let kept = entry.get();
    if kept.has(SAMPLED) {
        let is_ours = hit.goid() == Some(kept.goid)
            && (file.release_at_return != 0
                || known(reader, file.conn_reader_conn).and_then(read::<u64>) == Some(kept.conn));
        if !is_ours {
            flight::mismatch(hit, &key, kept);
            return;
        }
        if kept.has(ANNOUNCED) {
            end::send_blind(hit, kept, STATUS_UNKNOWN, HOW_HIJACKED, MISSING);
        } else {
            count(hit, Counter::EndLost);
        }
    }
    flight::remove(hit, &key);
}

/// `(*conn).close(c)`: the connection's end in any case.
#[inline(always)]
pub fn closed(hit: &Hit, file: &File, conn: u64) -> bool {
    let key = Key::of(hit);
    let Some(entry) = flight::live(hit, &key) else { return false };
    let kept = entry.get();
    if kept.has(SAMPLED) {
        // The response is named by serve's own variable while its deferred function runs; that it is of this connection is
        // compared all the same.
        let is_ours = kept.conn == conn
            && hit.goid() == Some(kept.goid)
            && known(kept.response, file.response_conn).and_then(read::<u64>) == Some(conn);
        if !is_ours {
            flight::mismatch(hit, &key, kept);
            return false;
        }
        let how = how(hit, HOW_UNKNOWN);
        if leave_to_whole(entry, how) {
            return true;
        }
        send(hit, file, kept, how);
    }
    flight::remove(hit, &key);
    false
}

/// Whether the agent does not know the beginning, so that `whole` has to send all; it then ends the entry too.
#[inline(always)]
fn leave_to_whole(mut entry: Entry, how: u8) -> bool {
    let kept = entry.get_mut();
    if kept.has(ANNOUNCED) {
        return false;
    }
    kept.state |= (how as u32) << HOW_SHIFT;
    true
}

/// Sends the end of a request whose beginning the agent knows.
#[inline(always)]
fn send(hit: &Hit, file: &File, kept: &Flight, how: u8) {
    end::send(hit, &file.last, kept, |_| ending(file, kept, how));
}

/// What is known of the end of a request: the caller has compared what proves that the entry's pointers are alive.
#[inline(always)]
pub fn ending(file: &File, kept: &Flight, how: u8) -> Ending {
    Ending { status: status(file, kept.response), how, request: kept.request }
}

#[inline(always)]
fn status(file: &File, response: u64) -> u32 {
    known(response, file.response_status).and_then(read::<u64>).map_or(STATUS_UNKNOWN, |status| status as u32)
}
