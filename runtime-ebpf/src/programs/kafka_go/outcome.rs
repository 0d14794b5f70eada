//! How an operation has ended, for its record.

use runtime_ebpf::{
    errors::ERROR_SLOT_COUNT,
    kafka_go::{
        File,
        records::{OUTCOME_CODE, OUTCOME_DONE, OUTCOME_FAILED, OUTCOME_UNKNOWN, Outcome},
    },
    record::ABSENT,
};

use super::flight::GoErrorWords;
use crate::{
    go_error::GoError,
    read::{GoString, read, read_or_zero},
};

/// Errors of one call that are looked at for the first that is one.
const MOST_ERRORS: u32 = 1000;

/// Whether it is a `kafka.WriteErrors`.
#[inline(always)]
pub fn has_one_for_each(file: &File, bias: u64, error: GoErrorWords) -> bool {
    error.itab > GoErrorWords::UNKNOWN.itab
        && file.write_errors_vaddr != 0
        && GoError::new(error.itab, error.data).kind.wrapping_sub(bias) == file.write_errors_vaddr
}

/// Writes how an operation ended; of several errors the first.
///
/// # Safety
///
/// `outcome` and `slots` are of a reserved record.
#[inline(always)]
pub unsafe fn write_outcome(
    file: &File,
    bias: u64,
    words: GoErrorWords,
    outcome: *mut Outcome,
    slots: *mut u8,
) {
    let mut what = OUTCOME_DONE;
    let mut error = None;
    if words.is_unknown() {
        what = OUTCOME_UNKNOWN;
    } else if words.itab != 0 {
        error = Some(first_of(file, bias, GoError::new(words.itab, words.data)));
    }
    // SAFETY: the caller's.
    unsafe { write_error(file, bias, what, error, outcome, slots) }
}

/// Writes what became of a batch: the broker's code (0: none), or the error in place of an answer.
///
/// # Safety
///
/// As above.
#[inline(always)]
pub unsafe fn write_answer(
    file: &File,
    bias: u64,
    words: GoErrorWords,
    code: u64,
    outcome: *mut Outcome,
    slots: *mut u8,
) {
    let what = if code != 0 { OUTCOME_CODE } else { OUTCOME_DONE };
    let error = (words.itab != 0).then(|| GoError::new(words.itab, words.data));
    // SAFETY: the caller's.
    unsafe {
        write_error(file, bias, what, error, outcome, slots);
        if error.is_none() {
            (&raw mut (*outcome).code).write_volatile(code);
        }
    }
}

/// Writes an error, if there is one; else `what`.
///
/// # Safety
///
/// As above.
#[inline(always)]
unsafe fn write_error(
    file: &File,
    bias: u64,
    mut what: u32,
    error: Option<GoError>,
    outcome: *mut Outcome,
    slots: *mut u8,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut code = 0;
        for n in 0..ERROR_SLOT_COUNT {
            (&raw mut (*outcome).lens[n]).write_volatile(ABSENT);
        }
        if let Some(error) = error {
            let within = error.innermost(&file.errors, bias);
            if error.kind == 0 {
                what = OUTCOME_UNKNOWN;
            } else if within.kind.wrapping_sub(bias) == file.code_vaddr
                && let Some(number) = read(within.data)
            {
                (what, code) = (OUTCOME_CODE, number);
            } else {
                what = OUTCOME_FAILED;
                error.write(&file.errors, bias, slots, &raw mut (*outcome).lens);
            }
        }
        (&raw mut (*outcome).what).write_volatile(what);
        (&raw mut (*outcome).code).write_volatile(code);
    }
}

/// The first error of a `kafka.WriteErrors`, a slice with one for each message, most of them nil; any other error itself. Its kind is 0 where
/// that cannot be told.
#[inline(always)]
fn first_of(file: &File, bias: u64, error: GoError) -> GoError {
    if file.write_errors_vaddr == 0 || error.kind.wrapping_sub(bias) != file.write_errors_vaddr {
        return error;
    }
    let unknown = GoError { kind: 0, data: 0 };
    let Some(slice) = read::<GoString>(error.data) else { return unknown };
    // An interface value: two words.
    let mut first = GoString { address: 0, len: 0 };
    for n in 0..MOST_ERRORS {
        if n as u64 >= slice.len || first.address != 0 {
            break;
        }
        let at = slice.address.wrapping_add(n as u64 * 16);
        first = GoString { address: read_or_zero(at), len: read_or_zero(at.wrapping_add(8)) };
    }
    if first.address == 0 { unknown } else { GoError::new(first.address, first.len) }
}
