//! An operation, or a try of it, ends.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use runtime_ebpf::{
    database_sql::{
        CODE_INT, CODE_NONE, CODE_TEXT, CODE_U16, CODES, File,
        counters::Counter,
        records::{CODE_BYTES, FAILED_BYTES, Failed, KIND_ENDED, KIND_FAILED},
    },
    record::{ABSENT, Head},
};

use super::flight::{self, BAD, Flight, Key, MOST_TRIES, RETRIED, SAMPLED, count};
use crate::{
    enter::Hit,
    go_error::GoError,
    read::{GoString, known, read},
    ring,
    texts::{fill, string_in},
};

/// The words of an `error` behind the call of a driver.
#[derive(Clone, Copy)]
pub struct Outcome {
    pub itab: u64,
    pub data: u64,
    /// Whether `driver.ErrSkip` means that it is done in another way.
    pub may_skip: bool,
}

/// What database/sql makes of an error.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    /// It is the operation's.
    Final,
    /// `driver.ErrBadConn`, or one that holds it.
    BadConn,
    /// `driver.ErrSkip`.
    Skip,
}

const ERR_SKIP: &[u8; 53] = b"driver: skip fast-path; continue as if unimplemented\0";
const ERR_BAD_CONN: &[u8; 23] = b"driver: bad connection\0";
/// Without the zeros, which say nothing here.
const ERR_SKIP_LEN: u64 = 52;
const ERR_BAD_CONN_LEN: u64 = 22;

/// The operation that is open on the goroutine has come to an end.
#[inline(always)]
pub fn finish(hit: &Hit, file: &File, depth: u64, outcome: Outcome) {
    flight::unwind(hit, |kept| kept.depth > depth);
    let Some(mut entry) = flight::open(hit, depth) else { return count(Counter::Unmatched) };
    let kept = entry.get_mut();
    if hit.goid() != Some(kept.goid) {
        count(Counter::Mismatch);
        return flight::remove(hit, &Key::of(hit));
    }
    if outcome.itab == 0 {
        if kept.has(SAMPLED) {
            send_end(hit, kept);
        }
        return flight::rest(hit, entry);
    }
    let error = GoError::new(outcome.itab, outcome.data);
    let within = error.innermost(&file.errors, kept.bias);
    let verdict = verdict(file, kept.bias, error, within, outcome.may_skip);
    if verdict == Verdict::Skip {
        return;
    }
    let mut is_final = 1;
    if verdict == Verdict::BadConn {
        kept.own += 1 << 8;
        if kept.has(RETRIED) && kept.tries() < MOST_TRIES {
            is_final = 0;
        }
    }
    let is_sent = !kept.has(SAMPLED) || send_error(hit, file, kept, error, within, is_final);
    if is_final != 0 || !is_sent {
        return flight::rest(hit, entry);
    }
    kept.state |= BAD;
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: plain helper call.
    unsafe { bpf_ktime_get_ns() }
}

#[inline(always)]
fn verdict(file: &File, bias: u64, error: GoError, within: GoError, may_skip: bool) -> Verdict {
    let text_type = file.errors.error_string_vaddr;
    if text_type == 0 || within.kind != text_type.wrapping_add(bias) {
        return Verdict::Final;
    }
    let Some(text) = read::<GoString>(within.data) else { return Verdict::Final };
    if text.len == ERR_BAD_CONN_LEN && begins_with(text.address, ERR_BAD_CONN) {
        return Verdict::BadConn;
    }
    let is_skip = may_skip && error.kind == within.kind && text.len == ERR_SKIP_LEN;
    if is_skip && begins_with(text.address, ERR_SKIP) { Verdict::Skip } else { Verdict::Final }
}

/// Whether a text that is long enough begins with the first sixteen bytes of another.
#[inline(always)]
fn begins_with<const N: usize>(address: u64, text: &[u8; N]) -> bool {
    // SAFETY: both texts are longer than two words.
    let [first, second] = unsafe { text.as_ptr().cast::<[u64; 2]>().read_unaligned() };
    read::<GoString>(address).is_some_and(|words| words.address == first && words.len == second)
}

/// Sends that it has been done.
#[inline(always)]
fn send_end(hit: &Hit, flight: &Flight) {
    let end_ns = now();
    let Some(mut record) = ring::reserve(size_of::<Head>()) else { return count(Counter::EndUnsent) };
    flight.write_head(hit, record.as_mut_ptr(), KIND_ENDED, size_of::<Head>() as u32, end_ns);
    ring::submit(record);
}

/// Sends what has failed. Whether there was room.
#[inline(always)]
fn send_error(
    hit: &Hit,
    file: &File,
    flight: &Flight,
    error: GoError,
    within: GoError,
    is_final: u32,
) -> bool {
    let end_ns = now();
    let Some(mut record) = ring::reserve(FAILED_BYTES) else {
        count(Counter::EndUnsent);
        return false;
    };
    let base = record.as_mut_ptr();
    flight.write_head(hit, base, KIND_FAILED, FAILED_BYTES as u32, end_ns);
    // SAFETY: the reservation has a Failed and all slots.
    unsafe {
        let failed = base.cast::<Failed>();
        (&raw mut (*failed).is_final).write_volatile(is_final);
        write_code(file, flight.bias, within, failed);
        let slots = base.add(size_of::<Failed>());
        error.write(&file.errors, flight.bias, slots, &raw mut (*failed).lens);
    }
    ring::submit(record);
    true
}

/// Writes the code of an error of a type that has one.
///
/// # Safety
///
/// `failed` is a reserved record.
#[inline(always)]
unsafe fn write_code(file: &File, bias: u64, error: GoError, failed: *mut Failed) {
    const _: () = assert!(CODES == 5);
    let vaddr = error.kind.wrapping_sub(bias);
    let (mut form, mut offset) = (CODE_NONE, 0);
    macro_rules! codes {
        ($($n:literal)+) => { $(
            if file.code_vaddrs[$n] != 0 && file.code_vaddrs[$n] == vaddr {
                (form, offset) = (file.code_forms[$n], file.code_offsets[$n]);
            }
        )+ };
    }
    codes!(0 1 2 3 4);
    let (mut number, mut len) = (0, ABSENT);
    // SAFETY: the caller's.
    unsafe {
        let code = (&raw mut (*failed).code).cast::<u8>();
        code.cast::<u64>().write_volatile(0);
        match form {
            CODE_TEXT => len = fill(code, CODE_BYTES, string_in(error.data, offset)),
            CODE_U16 => number = known(error.data, offset).and_then(read::<u16>).unwrap_or(0) as u64,
            CODE_INT => number = known(error.data, offset).and_then(read::<u64>).unwrap_or(0),
            _ => {}
        }
        (&raw mut (*failed).number).write_volatile(number);
        (&raw mut (*failed).code_len).write_volatile(len);
        (&raw mut (*failed).code_form).write_volatile(form as u32);
    }
}
