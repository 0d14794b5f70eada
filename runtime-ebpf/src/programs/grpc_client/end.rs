//! An RPC ends.

use runtime_ebpf::{
    grpc::{CODE_UNKNOWN, client::File},
    libraries::grpc_client::counters::Counter,
};

use super::{
    flight::{self, BOUND, Client, Flight, Key, OPEN, UNRECORDED, count},
    start::is_of,
};
use crate::{
    enter::Hit,
    go_error::GoError,
    programs::grpc::{Said, Sent, send, send_and_remove},
    read::{GoString, known, read, try_read},
};

/// `io.EOF`, which is how a stream ends well: its text is this.
const EOF: u32 = u32::from_le_bytes(*b"EOF\0");

/// The goroutine's RPC has failed before there was a stream of a transport's.
#[inline(always)]
pub fn fail(hit: &Hit, file: &File, stack: u64, error: [u64; 2]) {
    if error[0] == 0 {
        return;
    }
    let Some((key, mut entry)) = flight::own(hit, stack, OPEN | UNRECORDED | BOUND) else { return };
    let flight = entry.get_mut();
    if flight.has(OPEN) {
        let sent = send(hit, &flight.span, said(file, flight, error), 0, || true);
        note(hit, sent);
    } else if flight.has(BOUND) {
        // Nothing keeps the stream any more, so it is not looked at: its entry counts if it is the same span's.
        let span_id = flight.span_id;
        close(hit, file, flight.stream, error, |kept| kept.span_id == span_id);
    }
    flight::rest(hit, &key, flight);
}

/// Whoever it is ends this `*clientStream`.
#[inline(always)]
pub fn end(hit: &Hit, file: &File, stack: u64, stream: u64, error: [u64; 2]) {
    if close(hit, file, stream, error, |kept| is_of(file, stream, kept)) {
        return;
    }
    // It may have failed before it was bound to its stream: that has no attempt then.
    let has_none = known(stream, file.stream_attempt).and_then(try_read::<u64>) == Some(0);
    let own = if has_none { flight::own(hit, stack, OPEN) } else { None };
    let Some((key, mut entry)) = own else { return count(hit, Counter::Unmatched) };
    let flight = entry.get_mut();
    if !is_of(file, stream, flight) {
        return count(hit, Counter::Unmatched);
    }
    let sent = send(hit, &flight.span, said(file, flight, error), 0, || true);
    note(hit, sent);
    flight::rest(hit, &key, flight);
}

/// Ends the RPC that has this stream, if that is true of what is kept. Whether anything was.
#[inline(always)]
fn close(hit: &Hit, file: &File, stream: u64, error: [u64; 2], is_it: impl Fn(&Flight) -> bool) -> bool {
    let key = Key::at(hit, stream);
    let Some(entry) = flight::live(hit, &key) else { return false };
    let flight = entry.get();
    if !is_it(flight) {
        count(hit, Counter::Mismatch);
        // Somebody else may have.
        let _ = flight::remove::<Client>(hit, &key);
        return true;
    }
    let sent = send_and_remove::<Client>(hit, &flight.span, &key, said(file, flight, error));
    note(hit, sent);
    true
}

#[inline(always)]
fn note(hit: &Hit, sent: Sent) {
    match sent {
        Sent::Yes => {}
        Sent::NoRoom => count(hit, Counter::EndUnsent),
        Sent::ByAnother => count(hit, Counter::Unmatched),
    }
}

/// What an error says: a status, within others or not; success; or that it is none of both.
#[inline(always)]
fn said(file: &File, flight: &Flight, [itab, data]: [u64; 2]) -> Said {
    if itab == 0 {
        return Said::OK;
    }
    let error = GoError::new(itab, data).innermost(&file.errors, flight.bias);
    let vaddr = error.kind.wrapping_sub(flight.bias);
    if file.status_error_vaddr != 0 && vaddr == file.status_error_vaddr {
        return match known(error.data, file.error_status).and_then(read::<u64>) {
            Some(status) => Said::of(&file.status, status),
            None => Said::UNREADABLE,
        };
    }
    if vaddr == file.errors.error_string_vaddr && is_eof(error.data) {
        return Said::OK;
    }
    Said::code(CODE_UNKNOWN)
}

#[inline(always)]
fn is_eof(data: u64) -> bool {
    let Some(text) = read::<GoString>(data).filter(|text| text.len == 3) else { return false };
    let mut bytes = core::mem::MaybeUninit::<u32>::uninit();
    // SAFETY: four bytes, the last of which is not read from the target.
    unsafe {
        bytes.as_mut_ptr().write_volatile(0);
        crate::read::try_read_bytes(bytes.as_mut_ptr().cast(), 3, text.address)
            && bytes.as_ptr().read_volatile() == EOF
    }
}
