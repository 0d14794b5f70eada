//! Several `tracestate` headers as one, joined by commas (RFC 9110, 5.3).

use runtime_ebpf::http_server::records::{MOST_TRACESTATES, NO_TRACESTATE};

use crate::{
    headers::{Found, one_of},
    read::{GoString, forget, opaque, read_result},
};

const _: () = assert!(MOST_TRACESTATES == 4);

/// Joins these values, as far as `ROOM` bytes hold them; gives the length of all, 0 if one could not be read. At `to` twice as many have
/// room: the last value reaches beyond, and what lies there is written later. A function of its own: inlined, it doubled what there is
/// to verify.
#[inline(never)]
pub fn join<const ROOM: usize, N>(to: *mut u8, values: GoString, found: &mut Found<N>) -> u32 {
    if values.len > MOST_TRACESTATES as u64 {
        // SAFETY: the slot.
        unsafe { to.write_volatile(NO_TRACESTATE) };
        return 1;
    }
    let (mut len, mut failed) = (0u64, 0i64);
    macro_rules! pieces {
        ($($i:literal)+) => { $(
            if values.len > $i {
                let text = one_of(values, $i, found);
                // SAFETY: behind the slot; what lies there is written later. The verifier is to know nothing of the length.
                len = unsafe { forget(to.add(ROOM).cast(), len) };
                let mut at = opaque(len);
                if at > ROOM as u64 {
                    at = ROOM as u64;
                }
                // SAFETY: at most where the slot ends, and a piece with its comma is no longer than the slot.
                let mut place = unsafe { to.add(at as usize) };
                if $i > 0 {
                    // SAFETY: as above.
                    place = unsafe {
                        place.write_volatile(b',');
                        place.add(1)
                    };
                    len += 1;
                }
                let most = (if $i > 0 { ROOM - 1 } else { ROOM }) as u64;
                let mut piece = opaque(text.len);
                if piece > most {
                    piece = most;
                }
                let result = read_result(place, piece as u32, text.address);
                found.note(result);
                failed |= result;
                len += text.len;
            }
        )+ };
    }
    pieces!(0 1 2 3);
    len as u32 & 0x7fff_ffff & !((failed >> 63) as u32)
}
