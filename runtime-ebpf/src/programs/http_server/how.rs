//! How a handler was left: what runs deferred functions on this goroutine?

use core::mem::MaybeUninit;

use runtime_ebpf::http_server::records::{HOW_ABORTED, HOW_GOEXIT, HOW_PANICKED, HOW_UNKNOWN};

use crate::{
    enter::Hit,
    read::{GoString, known, read, try_read, try_read_bytes},
};

/// `g._panic` is the innermost panic or Goexit under way; it stays there, recovered, until the deferred function returns.
/// `undisturbed` is what it means that there is none.
#[inline(always)]
pub fn how(hit: &Hit, undisturbed: u8) -> u8 {
    let Some(runtime) = hit.runtime() else { return HOW_UNKNOWN };
    let Some(panic) = known(hit.goroutine, runtime.g_panic).and_then(read::<u64>) else { return HOW_UNKNOWN };
    if panic == 0 {
        return undisturbed;
    }
    let Some(goexit) = known(panic, runtime.panic_goexit).and_then(read::<u8>) else {
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
