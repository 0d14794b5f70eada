//! Copies what a call says of a span into a record, item after item.
//!
//! What is copied is found on the way: options lead to attributes and links, links to attributes, attributes to the elements of slices. So one
//! loop goes from one piece to the next, each of its turns copies one, and the record is as long as its room: the call is gone through anew for a
//! larger one where the smaller is not enough.

use core::mem::MaybeUninit;

use aya_ebpf::helpers::bpf_ktime_get_ns;
use runtime_ebpf::{
    abi::CONTEXT_SLOT_BITS,
    otel_global::{
        ATTRIBUTES, FUNCTION, File, KEY_VALUE_BYTES, KIND, LINK_ATTRIBUTES, LINK_BYTES, LINKS, NEW_ROOT,
        SCHEMA, STACK_TRACE, TIME, VALUE, VERSION,
        counters::Counter,
        records::{
            ITEM_ELEMENT, ITEM_KEY, ITEM_LINK, ITEM_OWN, ITEM_SCHEMA, ITEM_SPAN_KIND, ITEM_TIME, ITEM_VALUE,
            ITEM_VERSION, KIND_ENDED, OF_FAULT, Said, TYPE_BOOLS, TYPE_STRING, TYPE_STRINGS,
        },
    },
};

use super::count;
use crate::{
    enter::Hit,
    in_flight::Span,
    read::{GoString, is_some, opaque, read_bytes, read_or_zero, try_read_bytes},
    ring,
};

/// Kinds of types in type data (internal/abi/type.go).
const KIND_ARRAY: u64 = 17;
const KIND_POINTER: u64 = 22;
const KIND_MASK: u64 = 31;

/// Where an attribute has its number.
const NUMBER: u64 = VALUE + 8;

/// Nothing.
pub const NOTHING: GoString = GoString { address: 0, len: 0 };

/// What is to be copied.
#[derive(Clone, Copy)]
pub struct Source {
    /// Two strings and their tags; 0: there is none.
    pub texts: [(u16, GoString); 2],
    /// Options of the call.
    pub options: GoString,
    /// Options of the tracer, behind those.
    pub tracers: GoString,
    /// A slice of attributes.
    pub attributes: GoString,
    /// Links.
    pub links: GoString,
}

impl Source {
    /// Of nothing yet.
    pub const EMPTY: Self = Self {
        texts: [(0, NOTHING); 2],
        options: NOTHING,
        tracers: NOTHING,
        attributes: NOTHING,
        links: NOTHING,
    };
}

/// What a record is of.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub hit: &'a Hit,
    pub file: &'a File,
    /// What the file's addresses are less than those of the process.
    pub bias: u64,
    pub span: &'a Span,
    pub kind: u16,
    pub number: u64,
}

/// Sends all of it in the smallest room that it fits into, but for the largest. `false`: that one is needed.
#[inline(always)]
pub fn tell(call: Call<'_>, source: &Source) -> bool {
    gather::<256, 10, false>(call, source) || gather::<2048, 28, false>(call, source)
}

/// Sends it in the largest room, and of what is more than that the beginning.
#[inline(always)]
pub fn tell_much(call: Call<'_>, source: &Source) {
    gather::<65536, 56, true>(call, source);
}

/// The same of no more than strings and a few options.
#[inline(always)]
pub fn tell_little(call: Call<'_>, source: &Source) {
    if !gather::<256, 4, false>(call, source) {
        gather::<65536, 4, true>(call, source);
    }
}

/// What is still to be copied, and where to. It lies behind the record's room, where the verifier follows none of it: to it each turn of the loop
/// begins as the one before.
#[repr(C)]
struct Work {
    /// Elements of a slice of strings.
    elements: GoString,
    attributes: GoString,
    links: GoString,
    options: GoString,
    tracers: GoString,
    /// The piece: its tag, and what it is of. 0: there is none.
    tag: u64,
    address: u64,
    len: u64,
    /// Where the next item begins.
    at: u64,
}

/// A field of the work, by which nothing is known of what is in it.
macro_rules! get {
    // SAFETY: the work lies in the reservation.
    ($work:ident $($field:tt)+) => { unsafe { (&raw const (*$work).$($field)+).read_volatile() } };
}
macro_rules! set {
    ($work:ident $($field:ident).+ = $value:expr) => {{
        let value = $value;
        // SAFETY: as above.
        unsafe { (&raw mut (*$work).$($field).+).write_volatile(value) }
    }};
}

/// Takes the first of a slice of elements of that size.
macro_rules! first {
    ($work:ident $slice:ident $bytes:expr) => {{
        let first = get!($work $slice.address);
        set!($work $slice.address = first + $bytes);
        set!($work $slice.len = get!($work $slice.len) - 1);
        first
    }};
}

macro_rules! set_slice {
    ($work:ident $slice:ident = $address:expr, $len:expr) => {{
        set!($work $slice.address = $address);
        set!($work $slice.len = $len);
    }};
}

/// Words of the target's memory; zeros where they cannot be read. Without a branch.
#[inline(always)]
fn words<const N: usize>(address: u64) -> [u64; N] {
    let mut value = MaybeUninit::<[u64; N]>::uninit();
    try_read_bytes(value.as_mut_ptr().cast(), 8 * N as u32, address);
    // SAFETY: the helper has filled all of it, with zeros where it failed.
    unsafe { value.assume_init() }
}

/// The next piece.
#[inline(always)]
fn piece(work: *mut Work, tag: u16, of: u16, address: u64, len: u64) {
    set!(work tag = tag as u64 | (of as u64) << 16);
    set!(work address = address);
    set!(work len = len);
}

/// Copies the piece behind the others: an item begins below `ROOM`, a power of two, and none is longer. `false`: it does not fit.
#[inline(always)]
fn put<const ROOM: usize>(work: *mut Work, base: *mut u8) -> bool {
    let (at, mut len) = (opaque(get!(work at)), opaque(get!(work len)));
    if at >= ROOM as u64 || len > ROOM as u64 {
        return false;
    }
    // LLVM may keep it on the stack meanwhile, where older verifiers forget what it was compared with.
    let at = opaque(at) & (ROOM as u64 - 1);
    // SAFETY: `at` is less than ROOM, and the reservation is twice as long and more.
    let place = unsafe { base.add(size_of::<Said>()).add(at as usize) };
    // SAFETY: as above: so many bytes and a word of the reservation are behind it. Nothing is read of no bytes.
    let is_read = read_bytes(unsafe { place.add(8) }, len as u32, get!(work address));
    let mut head = get!(work tag);
    if !is_read {
        head |= (OF_FAULT as u64) << 16;
        len = 0;
    }
    // SAFETY: as above; the verifier allows it at any alignment.
    unsafe { place.cast::<u64>().write_volatile(head | len << 32) };
    set!(work at = at + 8 + ((len + 7) & !7));
    true
}

/// Sends it if it fits, else nothing, unless this is the largest room. Whether that is all.
#[inline(always)]
fn gather<const ROOM: usize, const STEPS: u32, const IS_LARGEST: bool>(
    call: Call<'_>,
    source: &Source,
) -> bool {
    let behind = size_of::<Said>() + 2 * ROOM + 16;
    let Some(mut record) = ring::reserve_large(behind + size_of::<Work>()) else {
        // Without its end a span stays with the agent until that counts it.
        count(call.hit, if call.kind == KIND_ENDED { Counter::EndUnsent } else { Counter::RecordLost });
        return true;
    };
    let base = record.as_mut_ptr();
    // SAFETY: within the reservation, at a multiple of 8.
    let work = unsafe { base.add(behind) }.cast::<Work>();
    let is_whole = copy::<ROOM, STEPS>(&call, source, base, work);
    if !is_whole && !IS_LARGEST {
        ring::discard(record);
        return false;
    }
    // SAFETY: plain helper call.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    let len = size_of::<Said>() as u64 + get!(work at);
    call.span.write_head(call.hit, base, call.kind, len as u32, now_ns);
    // SAFETY: the reservation is longer than a Said, and aligned to 8.
    unsafe {
        let said = base.cast::<Said>();
        (&raw mut (*said).number).write_volatile(call.number);
        (&raw mut (*said).is_cut).write_volatile(!is_whole as u64);
    }
    if !is_whole {
        count(call.hit, Counter::Cut);
    }
    ring::submit_large(record);
    true
}

#[inline(always)]
fn copy<const ROOM: usize, const STEPS: u32>(
    call: &Call<'_>,
    source: &Source,
    base: *mut u8,
    work: *mut Work,
) -> bool {
    set!(work at = 0);
    set_slice!(work elements = 0, 0);
    set_slice!(work attributes = source.attributes.address, source.attributes.len);
    set_slice!(work links = source.links.address, source.links.len);
    set_slice!(work options = source.options.address, source.options.len);
    set_slice!(work tracers = source.tracers.address, source.tracers.len);
    for (tag, text) in source.texts {
        if tag != 0 {
            piece(work, tag, 0, text.address, text.len);
            if !put::<ROOM>(work, base) {
                return false;
            }
        }
    }
    for _ in 0..STEPS {
        match next::<ROOM>(call, base, work) {
            Next::Piece => {}
            Next::End => return true,
            Next::NoRoom => return false,
        }
        if get!(work tag) != 0 && !put::<ROOM>(work, base) {
            return false;
        }
    }
    let rest = get!(work elements.len) | get!(work attributes.len) | get!(work links.len);
    rest | get!(work options.len) | get!(work tracers.len) == 0
}

enum Next {
    /// There is one, or, where its tag is 0, none but more to come.
    Piece,
    End,
    NoRoom,
}

/// Looks for the next piece. Of an attribute this is the value: its key is copied at once.
#[inline(always)]
fn next<const ROOM: usize>(call: &Call<'_>, base: *mut u8, work: *mut Work) -> Next {
    if get!(work elements.len) != 0 {
        let [address, len] = words(first!(work elements 16));
        piece(work, ITEM_ELEMENT, 0, address, len);
    } else if get!(work attributes.len) != 0 {
        let attribute = first!(work attributes KEY_VALUE_BYTES);
        let [key, key_len, kind, _, text, len, slice_type, slice] = words(attribute);
        piece(work, ITEM_KEY, 0, key, key_len);
        if !put::<ROOM>(work, base) {
            return Next::NoRoom;
        }
        value(work, attribute + NUMBER, kind as u16, GoString { address: text, len }, [slice_type, slice]);
    } else if get!(work links.len) != 0 {
        let link = first!(work links LINK_BYTES);
        let [address, len] = words(link + LINK_ATTRIBUTES);
        set_slice!(work attributes = address, len);
        piece(work, ITEM_LINK, 0, link, 32);
    } else if get!(work options.len) != 0 {
        option(call, work);
    } else if get!(work tracers.len) != 0 {
        set_slice!(work options = get!(work tracers.address), get!(work tracers.len));
        set!(work tracers.len = 0);
        set!(work tag = 0);
    } else {
        return Next::End;
    }
    Next::Piece
}

/// The value of an attribute: a number at that address, a string, or a slice in an interface.
#[inline(always)]
fn value(work: *mut Work, number: u64, kind: u16, text: GoString, [slice_type, slice]: [u64; 2]) {
    if kind < TYPE_STRING {
        piece(work, ITEM_VALUE, kind, number, 8);
    } else if kind == TYPE_STRING {
        piece(work, ITEM_VALUE, kind, text.address, text.len);
    } else {
        let held = slice_of(slice_type, slice);
        let is = |wanted: u16| (is_some((kind ^ wanted) as u64) ^ 1).wrapping_neg();
        // Bools have a byte each, numbers a word; strings follow as elements.
        let of_bools = held.len & is(TYPE_BOOLS);
        let of_numbers = held.len << 3 & !is(TYPE_BOOLS) & !is(TYPE_STRINGS);
        set_slice!(work elements = held.address, held.len & is(TYPE_STRINGS));
        piece(work, ITEM_VALUE, kind, held.address, of_bools | of_numbers);
    }
}

/// What the next option says.
#[inline(always)]
fn option(call: &Call<'_>, work: *mut Work) {
    let [itab, data] = words(first!(work options 16));
    let [first, second, third] = words(data);
    set!(work tag = 0);
    match class_of_option(call.file, call.bias, itab, first) {
        ATTRIBUTES => {
            set_slice!(work attributes = first, second);
            piece(work, ITEM_OWN, 0, 0, 0);
        }
        LINKS => set_slice!(work links = second, third),
        TIME => piece(work, ITEM_TIME, 0, data, 16),
        KIND => piece(work, ITEM_SPAN_KIND, 0, data + 8, 8),
        VERSION => piece(work, ITEM_VERSION, 0, second, third),
        SCHEMA => piece(work, ITEM_SCHEMA, 0, second, third),
        NEW_ROOT => {}
        STACK_TRACE => {
            if first & 0xff != 0 {
                count(call.hit, Counter::NoStackTrace);
            }
        }
        _ => count(call.hit, Counter::UnknownOption),
    }
}

/// The elements of a slice of attributes: an array by value, whose type says how long it is (as it has been since v1.11), or a pointer to a slice.
/// `len` is in elements.
#[inline(always)]
fn slice_of(kind: u64, data: u64) -> GoString {
    // abi.Type: Kind_ at 23, the last byte of the third word (internal/abi/type.go); an array's length at 64.
    match read_or_zero(kind + 16) >> 56 & KIND_MASK {
        KIND_ARRAY => GoString { address: data, len: read_or_zero(kind + 64) },
        KIND_POINTER => {
            let [address, len] = words(data);
            GoString { address, len }
        }
        _ => NOTHING,
    }
}

/// What an option is, by its type, and of a function by that: `first` is the first word of what its data word points to.
#[inline(always)]
pub fn class_of_option(file: &File, bias: u64, itab: u64, first: u64) -> u32 {
    // An itab's second word is its type.
    let (by_type, by_function) = (class(file, bias, read_or_zero(itab + 8)), class(file, bias, first));
    if by_type == FUNCTION { by_function } else { by_type }
}

/// What an address means; 0: nothing that is known. Without a branch.
#[inline(always)]
pub fn class(file: &File, bias: u64, address: u64) -> u32 {
    let vaddr = address.wrapping_sub(bias);
    let hash = vaddr.wrapping_mul(file.multiplier) >> (64 - CONTEXT_SLOT_BITS);
    // Below the number of slots, as the verifier sees it.
    let at = (opaque(hash) & ((1 << CONTEXT_SLOT_BITS) - 1)) as usize;
    // SAFETY: the mask leaves the slots of the array.
    let slot = unsafe { &*file.slots.as_ptr().add(at) };
    // An empty slot has the kind 0.
    slot.kind & (is_some(slot.itab_vaddr ^ vaddr) ^ 1).wrapping_neg() as u32
}
