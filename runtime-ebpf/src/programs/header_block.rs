//! The trace context in requests over HTTP/2, gRPC's among them: a field behind a request's header block, at the place where the framer has
//! the frame together and is about to put its length in front (docs/decisions/propagation-writes.md).
//!
//! ```text
//! stream, send  a request is about to be encoded, on the goroutine that writes it, too   ► whose it is
//! frame         at the call of (*Framer).endWrite in WriteHeaders                        ► the field, once
//! ```
//! What is noted belongs to that goroutine, by its id, and to one stream. So a server's answers find nothing here, and neither do trailers: the
//! request took it.

use aya_ebpf::{
    helpers::{bpf_probe_write_user, generated},
    macros::map,
    maps::LruHashMap,
    programs::ProbeContext,
};
use runtime_ebpf::{
    hpack::{self, FIELD_AT, FIELD_WORDS, FRAME_HEAD_BYTES, Frame, MOST_FRAME_BYTES, VALUE_BYTES},
    trace_parent::TraceParent,
};

use crate::{
    enter::Hit,
    programs::state_field::{self, Form},
    read::{is_some, known, opaque, try_read, try_read_bytes},
    registers::GoRegisters,
    ring,
};

/// Blocks that are about to be written, over all processes: what lies between two hits that follow one another at once.
const BLOCKS: u32 = 8_192;

/// Of which library's program, too: two may be in one process, over HTTP/2 of the same package.
#[repr(C)]
struct Key {
    goroutine: u64,
    tgid: u32,
    library: u32,
}

impl Key {
    #[inline(always)]
    fn of(hit: &Hit) -> Self {
        Self { goroutine: hit.goroutine, tgid: hit.tgid, library: hit.library as u32 }
    }
}

/// Whose request a goroutine is about to write.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Block {
    goid: u64,
    generation: u64,
    stream: u64,
    trace_id: [u64; 2],
    span_id: u64,
    trace_flags: u64,
    /// Where the header's map is that is written; 0: the program's own has been looked for in it.
    pub header: u64,
    /// What of the program's own was found there, as far as it is known.
    pub own: u64,
    /// All these words and whose they are together: who reads them while the place is given to another goroutine sees that they are not whole.
    seal: u64,
}

impl Block {
    #[inline(always)]
    fn seal(&self, key: &Key) -> u64 {
        let [first, second] = self.trace_id;
        let of_span = first ^ second ^ self.span_id ^ self.trace_flags;
        key.goroutine
            ^ key.tgid as u64
            ^ self.goid
            ^ self.generation
            ^ self.stream
            ^ of_span
            ^ self.header
            ^ self.own << 32
    }
}

#[map]
static HEADER_BLOCKS: LruHashMap<Key, Block> = LruHashMap::with_max_entries(BLOCKS, 0);

/// What the program has put into a request itself, as bits of a number: the verifier would follow all that comes for each kind of a struct.
pub const OWN_PARENT: u64 = 1;
pub const OWN_STATE: u64 = 2;
/// Nobody knows.
pub const OWN_UNKNOWN: u64 = 4;

/// What became of a block.
#[derive(Clone, Copy)]
pub enum Outcome {
    Written,
    /// It has a context of the program's own, or of another agent.
    Own,
    /// There is no room for it, in the buffer or in one frame.
    NoRoom,
    /// It cannot be read, or not be written to.
    Unreadable,
    /// It is not what was noted.
    Another,
}

/// The goroutine is about to write this stream's request. Whether there was room to note that.
#[inline(always)]
pub fn note(hit: &Hit, span: TraceParent, stream: u64, header: u64, own: u64) -> bool {
    let key = Key::of(hit);
    let mut block = Block {
        // Of one that is not known nothing is written: no goroutine has this id.
        goid: hit.goid().unwrap_or(0),
        generation: hit.process().generation as u64,
        stream,
        trace_id: span.trace_id,
        span_id: span.span_id,
        trace_flags: span.flags as u64,
        header,
        own,
        seal: 0,
    };
    block.seal = block.seal(&key);
    HEADER_BLOCKS.insert(&key, &block, 0).is_ok()
}

/// What the running goroutine is about to write, if it has noted that; `Some(None)`: what is there is not whole, or another one's.
#[inline(always)]
fn take(hit: &Hit) -> Option<Option<Block>> {
    let key = Key::of(hit);
    let place = HEADER_BLOCKS.get_ptr(&key)?;
    // SAFETY: the value is the map's, and of this type. Volatile: it may be given to another key meanwhile.
    let block = unsafe { place.read_volatile() };
    // One field for each request that is written.
    let _ = HEADER_BLOCKS.remove(&key);
    let is_its = block.generation == hit.process().generation as u64
        && hit.goid() == Some(block.goid)
        && block.seal == block.seal(&key);
    Some(is_its.then_some(block))
}

/// At the call of `(*Framer).endWrite(f)` in `WriteHeaders`; `buffer` is where the framer has what it is writing. `own` says what the
/// program has put into the block itself, and has a word of a record for itself.
#[inline(always)]
pub fn carry(
    ctx: &ProbeContext,
    hit: &Hit,
    buffer: u16,
    own: impl FnOnce(&Block, *mut u64) -> u64,
    count: impl Fn(Outcome),
) {
    let Some(noted) = take(hit) else { return };
    let Some(block) = noted else { return count(Outcome::Another) };
    let Some(place) = known(ctx.argument::<0>(), buffer) else { return };
    let Some(mut room) = ring::reserve(ROOM_BYTES) else { return count(Outcome::Unreadable) };
    let scratch = room.as_mut_ptr();
    let own = own(&block, scratch.cast());
    let outcome = if own & OWN_UNKNOWN != 0 {
        Outcome::Unreadable
    } else if own & OWN_PARENT != 0 {
        Outcome::Own
    } else {
        write(hit, place, &block, scratch, own)
    };
    ring::discard(room);
    count(outcome);
}

/// A word for who looks for the program's own context, and the field.
const ROOM_BYTES: usize = 8 + 4 * FIELD_WORDS;
/// A field's length, as the verifier sees it: 32 to 63. From [`FIELD_AT`] on so many bytes are there.
const LENGTHS: u64 = 32;
const _: () = assert!(FIELD_AT + 2 * LENGTHS as usize - 1 <= 4 * FIELD_WORDS);
const _: () =
    assert!(11 + *VALUE_BYTES.start() as u64 >= LENGTHS && 11 + (*VALUE_BYTES.end() as u64) < 2 * LENGTHS);

/// Writes the field behind the block, before it that of `tracestate` where it fits and the program has none, and then how much the framer has.
#[inline(always)]
fn write(hit: &Hit, place: u64, block: &Block, scratch: *mut u8, own: u64) -> Outcome {
    let Some([address, used, most]) = try_read::<[u64; 3]>(place) else { return Outcome::Unreadable };
    if address == 0 || used < FRAME_HEAD_BYTES || used > most {
        return Outcome::Another;
    }
    let Some(head) = try_read::<[u64; 2]>(address) else { return Outcome::Unreadable };
    match hpack::frame(head, block.stream) {
        Frame::Whole => {}
        Frame::Continued => return Outcome::NoRoom,
        Frame::Another => return Outcome::Another,
    }
    let parent =
        TraceParent { trace_id: block.trace_id, span_id: block.span_id, flags: block.trace_flags as u8 };
    // SAFETY: the field's words lie behind the first one.
    let text = unsafe { scratch.add(8) };
    let bytes = hpack::field(&parent, |at, word| {
        let at = opaque(opaque(at as u64) & (FIELD_WORDS as u64 - 1));
        // SAFETY: the mask leaves the words.
        unsafe { text.cast::<u32>().add(at as usize).write_volatile(word) }
    });
    let bytes = opaque(opaque(bytes as u64) & (LENGTHS - 1)) + LENGTHS;
    if most - used < bytes || used - FRAME_HEAD_BYTES + bytes > MOST_FRAME_BYTES {
        return Outcome::NoRoom;
    }
    if ends_with_one(address + used) != 0 {
        return Outcome::Own;
    }
    let end = address + used;
    // In the buffer, and in one frame. Before the field, which whoever else writes here looks for at the end.
    let least = used + bytes;
    let in_frame = MOST_FRAME_BYTES + FRAME_HEAD_BYTES - least;
    let room = if most - least < in_frame { most - least } else { in_frame };
    let state = state_field::write(hit, block.trace_id, own & OWN_STATE, Form::Field, end, room);
    let more = used + state + bytes;
    // The length last: what is behind it is read by nobody.
    // SAFETY: the helpers check the addresses, and that they are the process's own; the field's words are as long as `bytes` can be.
    let is_written = unsafe {
        generated::bpf_probe_write_user((end + state) as *mut _, text.add(FIELD_AT).cast(), bytes as u32) == 0
            && bpf_probe_write_user((place + 8) as *mut u64, &raw const more).is_ok()
    };
    if is_written {
        state_field::written(state);
        Outcome::Written
    } else {
        Outcome::Unreadable
    }
}

/// Not 0 if a block that ends here ends with such a field: another agent may have been here. Without a branch.
#[inline(always)]
fn ends_with_one(end: u64) -> u64 {
    let mut found = 0;
    for value_bytes in VALUE_BYTES {
        let mut words = core::mem::MaybeUninit::<[u64; 2]>::uninit();
        try_read_bytes(words.as_mut_ptr().cast(), 16, end - 11 - value_bytes as u64);
        // SAFETY: the helper has filled it, with zeros where it failed.
        let words = unsafe { words.assume_init() };
        let expected = hpack::beginning(value_bytes);
        found |= is_some(words[0] ^ expected[0] | (words[1] ^ expected[1]) & 0xff_ffff) ^ 1;
    }
    found
}
