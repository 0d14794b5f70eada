//! What gRPC's server and client share: statuses, and the records of ends.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use runtime_ebpf::{
    grpc::{
        CODE_OK, CODE_UNREADABLE, StatusFields,
        records::{Ended, KIND_ENDED, KIND_FAILED, MESSAGE_BYTES},
    },
    record::ABSENT,
};

use crate::{
    enter::Hit,
    in_flight::{Key, Span, Table, remove},
    read::{GoString, known, read},
    ring,
    texts::{MISSING, fill, string_in},
};

const EMPTY: GoString = GoString { address: 0, len: 0 };
const ENDED_BYTES: usize = size_of::<Ended>();
const FAILED_BYTES: usize = ENDED_BYTES + MESSAGE_BYTES;

/// What a status says.
#[derive(Clone, Copy)]
pub struct Said {
    pub code: u32,
    pub message: GoString,
}

impl Said {
    pub const OK: Self = Self { code: CODE_OK, message: EMPTY };
    pub const UNREADABLE: Self = Self { code: CODE_UNREADABLE, message: MISSING };

    /// Of a code alone.
    #[inline(always)]
    pub fn code(code: u32) -> Self {
        Self { code, message: MISSING }
    }

    /// Of a `*status.Status`: none is a success, and so is one that holds none.
    #[inline(always)]
    pub fn of(fields: &StatusFields, status: u64) -> Self {
        if status == 0 {
            return Self::OK;
        }
        let Some(proto) = known(status, fields.proto).and_then(read::<u64>) else { return Self::UNREADABLE };
        if proto == 0 {
            return Self::OK;
        }
        match known(proto, fields.code).and_then(read::<u32>) {
            Some(CODE_OK) => Self::OK,
            Some(code) => Self { code, message: string_in(proto, fields.message) },
            None => Self::UNREADABLE,
        }
    }
}

#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: plain helper call.
    unsafe { bpf_ktime_get_ns() }
}

/// What became of an end.
pub enum Sent {
    /// The agent has it.
    Yes,
    /// There was no room in the ring.
    NoRoom,
    /// Somebody else has sent the RPC's end.
    ByAnother,
}

/// Sends the end of the entry's RPC and removes the entry. It may be another goroutine's that ends the same RPC at this very moment: the
/// one that removes it sends the end, and nobody else's RPC can have come to its place before that.
#[inline(always)]
pub fn send_and_remove<T: Table>(hit: &Hit, span: &Span, key: &Key, said: Said) -> Sent {
    send(hit, span, said, 0, || remove::<T>(hit, key))
}

/// Sends the end of an RPC, if that is true.
#[inline(always)]
pub fn send(hit: &Hit, span: &Span, said: Said, is_unknown_method: u32, is_ours: impl Fn() -> bool) -> Sent {
    if said.code == CODE_OK {
        let Some(mut record) = ring::reserve(ENDED_BYTES) else { return no_room(is_ours) };
        write(hit, record.as_mut_ptr(), span, said, is_unknown_method, KIND_ENDED);
        if !is_ours() {
            ring::discard(record);
            return Sent::ByAnother;
        }
        ring::submit(record);
        return Sent::Yes;
    }
    let Some(mut record) = ring::reserve(FAILED_BYTES) else { return no_room(is_ours) };
    write(hit, record.as_mut_ptr(), span, said, is_unknown_method, KIND_FAILED);
    if !is_ours() {
        ring::discard(record);
        return Sent::ByAnother;
    }
    ring::submit(record);
    Sent::Yes
}

#[inline(always)]
fn no_room(is_ours: impl Fn() -> bool) -> Sent {
    if is_ours() { Sent::NoRoom } else { Sent::ByAnother }
}

#[inline(always)]
fn write(hit: &Hit, base: *mut u8, span: &Span, said: Said, is_unknown_method: u32, kind: u16) {
    let has_message = kind == KIND_FAILED;
    let len = if has_message { FAILED_BYTES } else { ENDED_BYTES };
    span.write_head(hit, base, kind, len as u32, now());
    // SAFETY: the reservation is at least an Ended long, and one with a message has its slot.
    unsafe {
        let ended = &mut *base.cast::<Ended>();
        ended.code = said.code;
        ended.is_unknown_method = is_unknown_method;
        ended.reserved = 0;
        ended.message_len =
            if has_message { fill(base.add(ENDED_BYTES), MESSAGE_BYTES, said.message) } else { ABSENT };
    }
}
