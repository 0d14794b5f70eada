//! The sites at which a request ends: which of them means what, and what proves that the entry is this request's.

use core::mem::MaybeUninit;

use runtime_ebpf::{
    counters::Counter as Core,
    net_http_server::{
        File, STATUS_UNKNOWN,
        counters::Counter,
        records::{HOW_ABORTED, HOW_FINISHED, HOW_GOEXIT, HOW_HIJACKED, HOW_PANICKED, HOW_UNKNOWN},
    },
    record::PARENT_NONE,
};

use super::{
    count, end,
    flight::{self, ANNOUNCED, Entry, Flight, HOW_SHIFT, KEPT_PEER, Key, OPEN, SAMPLED},
};
use crate::{
    count::count as count_core,
    enter::Hit,
    read::{GoString, known, read, try_read, try_read_bytes},
    texts::{MISSING, string_in},
};

/// `finishRequest(w)`; where that was inlined, its call of `abortPendingRead(cr)`, which proves as much: the reader is the
/// connection's, and leads to it. `true`: `whole` has to go on.
#[inline(always)]
pub fn finished(hit: &Hit, file: &File, argument: u64) -> bool {
    let key = Key::of(hit);
    let Some(entry) = flight::live(hit, &key) else {
        count(Counter::BeganBefore);
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
            count(Counter::BeganBefore)
        }
        return false;
    }
    if kept.response != response {
        return drop(hit, &key, kept);
    }
    if kept.has(SAMPLED) {
        if hit.goid() != Some(kept.goid) {
            return drop(hit, &key, kept);
        }
        if leave_to_whole(entry, HOW_FINISHED) {
            return true;
        }
        end::send(hit, file, kept, HOW_FINISHED);
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
            return drop(hit, &key, kept);
        }
        if leave_to_whole(entry, HOW_HIJACKED) {
            return true;
        }
        end::send(hit, file, kept, HOW_HIJACKED);
    }
    flight::remove(hit, &key);
    false
}

/// A goroutine that serves no request hijacks one: the agent knows whose response it is, if it was recorded at all.
#[inline(always)]
fn hijacked_elsewhere(hit: &Hit, file: &File, response: u64) {
    count(Counter::HijackedElsewhere);
    let nobody = Flight {
        generation: hit.process().generation,
        state: 0,
        goid: 0,
        response,
        request: 0,
        conn: 0,
        bufr: 0,
        peer_address: 0,
        peer_len: 0,
        trace_flags: 0,
        parent: PARENT_NONE,
        reserved: 0,
        start_ns: 0,
        trace_id: [0; 2],
        span_id: 0,
        parent_span_id: 0,
        peer: [0; KEPT_PEER / 8],
    };
    // The address of a response is used again: the peer, which the response names, is what the agent compares.
    let conn = known(response, file.response_conn).and_then(read::<u64>).unwrap_or(0);
    let peer = string_in(conn, file.conn_remote_addr);
    end::send_blind(hit, &nobody, end::status(file, response), HOW_HIJACKED, peer);
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
            drop(hit, &key, kept);
            return;
        }
        if kept.has(ANNOUNCED) {
            end::send_blind(hit, kept, STATUS_UNKNOWN, HOW_HIJACKED, MISSING);
        } else {
            count(Counter::EndLost);
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
            return drop(hit, &key, kept);
        }
        let how = how(hit);
        if leave_to_whole(entry, how) {
            return true;
        }
        end::send(hit, file, kept, how);
    }
    flight::remove(hit, &key);
    false
}

/// Something else ends than what is kept: it is forgotten, and counted.
#[inline(always)]
fn drop(hit: &Hit, key: &Key, kept: &Flight) -> bool {
    count(Counter::Mismatch);
    if kept.has(SAMPLED) && !kept.has(ANNOUNCED) {
        count(Counter::MismatchUnannounced);
    }
    flight::remove(hit, key);
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

/// How it came to the closing of a connection whose request is open: what runs deferred functions on this goroutine?
/// `g._panic` is the innermost of them; it stays there, recovered, until the deferred function returns.
#[inline(always)]
fn how(hit: &Hit) -> u8 {
    let Some(runtime) = hit.runtime() else { return HOW_UNKNOWN };
    let Some(panic) = known(hit.goroutine, runtime.g_panic).and_then(read::<u64>) else { return HOW_UNKNOWN };
    let Some(goexit) = known(panic, runtime.panic_goexit).filter(|_| panic != 0).and_then(read::<u8>) else {
        return HOW_UNKNOWN;
    };
    if goexit != 0 {
        return HOW_GOEXIT;
    }
    let Some(value) = known(panic, runtime.panic_arg).and_then(read::<GoString>) else { return HOW_UNKNOWN };
    if is_abort_handler(value.len) { HOW_ABORTED } else { HOW_PANICKED }
}

/// Whether the value behind an interface is that of `http.ErrAbortHandler`: an `*errors.errorString`, whose only field is this
/// text (errors/errors.go, net/http/server.go).
#[inline(always)]
fn is_abort_handler(data: u64) -> bool {
    const TEXT: [u64; 3] = words(b"net/http: abort Handler\0");
    const LEN: u64 = 23;
    let mut text = MaybeUninit::<[u64; 3]>::uninit();
    let word = text.as_mut_ptr().cast::<u64>();
    // What is no pointer to a string cannot be read, or is not this text: no failure.
    let Some(field) = try_read::<GoString>(data).filter(|field| field.len == LEN) else { return false };
    // SAFETY: the last byte, which is not read, is zero; the others are where the read has succeeded.
    unsafe {
        word.add(2).write_volatile(0);
        try_read_bytes(word.cast(), LEN as u32, field.address)
            && word.read() == TEXT[0]
            && word.add(1).read() == TEXT[1]
            && word.add(2).read() == TEXT[2]
    }
}

const fn words(text: &[u8; 24]) -> [u64; 3] {
    let mut words = [0; 3];
    let mut i = 0;
    while i < 24 {
        words[i / 8] |= (text[i] as u64) << (8 * (i % 8));
        i += 1;
    }
    words
}
