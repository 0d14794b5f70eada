//! What the in-flight tables of all libraries have in common: an entry belongs to a goroutine, which alone writes to it and removes it
//! while its process lives, so that it needs no lock. (Where it is not a goroutine's: [`Key::at`]. Where [`Table::GIVES_WAY`], the agent removes
//! others' too: whoever may find one of those copies it, and believes it by its seal, or by having removed it.)

use core::ptr::NonNull;

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap},
};
use runtime_ebpf::{
    abi::{MAX_PROCESSES, SHARES, SPAN_BYTES, SPAN_START_AT, SPAN_STATE_AT},
    record::Head,
    trace_parent::TraceParent,
};

use crate::{
    enter::{Hit, atomic_add},
    ids::Identity,
    read::sign,
    whole_key::WholeKey as _,
};

/// What the agent has removed of processes that go on, where [`Table::GIVES_WAY`].
#[map]
static GIVEN_WAY: HashMap<u64, u64> = HashMap::with_max_entries(MAX_PROCESSES, 0);

/// Whose entry.
#[repr(C)]
pub struct Key {
    goroutine: u64,
    tgid: u64,
}

impl Key {
    #[inline(always)]
    pub fn of(hit: &Hit) -> Self {
        Self::at(hit, hit.goroutine)
    }

    /// Of something else that the process has at an address: an entry that several goroutines may find, none of which follows what it
    /// keeps, and which belongs to the one that removes it.
    #[inline(always)]
    pub fn at(hit: &Hit, address: u64) -> Self {
        Self { goroutine: address, tgid: hit.tgid as u64 }
    }
}

/// An entry of a table, which is the running goroutine's alone.
pub struct Entry<T: 'static>(NonNull<T>);

// Not derived: that would want T to be Copy.
impl<T> Clone for Entry<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Entry<T> {}

impl<T> Entry<T> {
    /// The running goroutine's entry, of whatever generation.
    #[inline(always)]
    pub fn find(table: &HashMap<Key, T>, key: &Key) -> Option<Self> {
        NonNull::new(table.get_ptr_mut(key)?).map(Self)
    }

    #[inline(always)]
    pub fn get(&self) -> &'static T {
        // SAFETY: `find` had the pointer from the map; an entry of the running goroutine is removed by that goroutine alone.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub fn get_mut(&mut self) -> &'static mut T {
        // SAFETY: as above; the goroutine has one hit at a time.
        unsafe { self.0.as_mut() }
    }
}

/// Who the span of an entry is: what every entry begins with.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Span {
    /// The process's, when the entry was written.
    pub generation: u32,
    /// Bits of the library's own; 0: nothing is open.
    pub state: u32,
    /// The goroutine's id, which tells it from another one at the same address.
    pub goid: u64,
    pub start_ns: u64,
    pub trace_id: [u64; 2],
    pub span_id: u64,
    pub parent_span_id: u64,
    pub trace_flags: u8,
    /// Kind of the parent, as in a record's head.
    pub parent: u8,
    /// Code of the library whose span it is.
    pub library: u16,
    /// The library's own.
    pub own: u32,
}

const _: () = assert!(size_of::<Span>() == SPAN_BYTES);
const _: () = assert!(core::mem::offset_of!(Span, state) == SPAN_STATE_AT);
const _: () = assert!(core::mem::offset_of!(Span, start_ns) == SPAN_START_AT);

impl Span {
    #[inline(always)]
    pub fn has(&self, bits: u32) -> bool {
        self.state & bits != 0
    }

    #[inline(always)]
    pub fn set_identity(&mut self, identity: &Identity, parent: u8) {
        self.trace_id = identity.trace_id;
        self.span_id = identity.span_id;
        self.parent_span_id = identity.parent_span_id;
        self.trace_flags = identity.trace_flags;
        self.parent = parent;
    }

    /// The span, as a parent.
    #[inline(always)]
    pub fn as_parent(&self) -> TraceParent {
        TraceParent { trace_id: self.trace_id, span_id: self.span_id, flags: self.trace_flags }
    }

    /// Writes what every record of the span begins with.
    #[inline(always)]
    pub fn write_head(&self, hit: &Hit, base: *mut u8, kind: u16, len: u32, end_ns: u64) {
        // SAFETY: every reservation is at least a Head long and aligned to 8.
        let head = unsafe { &mut *base.cast::<Head>() };
        head.library = self.library;
        head.kind = kind;
        head.len = len;
        head.tgid = hit.tgid;
        head.generation = self.generation;
        head.start_ns = self.start_ns;
        head.end_ns = end_ns;
        // SAFETY: byte arrays at multiples of 8 in a repr(C) struct (pinned by a test): word stores.
        unsafe {
            let ids = (&raw mut head.trace_id).cast::<u64>();
            ids.write_volatile(self.trace_id[0]);
            ids.add(1).write_volatile(self.trace_id[1]);
            (&raw mut head.span_id).cast::<u64>().write_volatile(self.span_id);
            (&raw mut head.parent_span_id).cast::<u64>().write_volatile(self.parent_span_id);
            // Flags, the parent's kind and zeros, in one.
            let last = self.trace_flags as u64 | (self.parent as u64) << 8;
            (&raw mut head.trace_flags).cast::<u64>().write_volatile(last);
        }
    }
}

/// An entry is a [`Span`] and what its library adds.
macro_rules! begins_with_span {
    ($flight:ty) => {
        impl core::ops::Deref for $flight {
            type Target = $crate::in_flight::Span;

            #[inline(always)]
            fn deref(&self) -> &Self::Target {
                &self.span
            }
        }

        impl core::ops::DerefMut for $flight {
            #[inline(always)]
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.span
            }
        }
    };
}
pub(crate) use begins_with_span;

/// A library's table, with the maps that belong to it.
pub trait Table {
    type Entry: 'static;
    /// Where a process's entries in it are counted.
    const NUMBER: usize;
    /// Whether the agent removes the oldest of what a process never ends.
    const GIVES_WAY: bool;

    /// What is in flight. Preallocated; the agent sets the real size at load.
    fn flight() -> &'static HashMap<Key, Self::Entry>;
    /// What a new entry is made of: on the stack it would take a good part of that.
    fn blank() -> &'static Array<Self::Entry>;
    /// Word 0: entries that programs have made, less those that they removed; 1: those that the agent has swept.
    fn uses() -> &'static Array<u64>;
    /// Size of the table; set at load.
    fn entries() -> u64;
}

/// The maps of a table, by the name that stands for it here, its entry, and the maps' names.
macro_rules! table {
    (@) => { false };
    (@ gives_way) => { true };
    ($table:ident $number:ident $entry:ty, $default:expr $(, $gives_way:ident)?; $flight:ident $blank:ident $uses:ident $entries:ident) => {
        #[aya_ebpf::macros::map]
        static $flight: aya_ebpf::maps::HashMap<$crate::in_flight::Key, $entry> =
            aya_ebpf::maps::HashMap::with_max_entries($default, 0);
        #[aya_ebpf::macros::map]
        static $blank: aya_ebpf::maps::Array<$entry> = aya_ebpf::maps::Array::with_max_entries(1, 0);
        #[aya_ebpf::macros::map]
        static $uses: aya_ebpf::maps::Array<u64> = aya_ebpf::maps::Array::with_max_entries(2, 0);
        #[unsafe(no_mangle)]
        static $entries: u64 = $default as u64;

        impl $crate::in_flight::Table for $table {
            type Entry = $entry;
            const NUMBER: usize = runtime_ebpf::abi::$number;
            const GIVES_WAY: bool = $crate::in_flight::table!(@ $($gives_way)?);

            #[inline(always)]
            fn flight() -> &'static aya_ebpf::maps::HashMap<$crate::in_flight::Key, $entry> {
                &$flight
            }
            #[inline(always)]
            fn blank() -> &'static aya_ebpf::maps::Array<$entry> {
                &$blank
            }
            #[inline(always)]
            fn uses() -> &'static aya_ebpf::maps::Array<u64> {
                &$uses
            }
            #[inline(always)]
            fn entries() -> u64 {
                // SAFETY: a static of this object that the loader sets before the program runs.
                unsafe { core::ptr::read_volatile(&$entries) }
            }
        }
    };
}
pub(crate) use table;

/// The entry, of whatever generation.
#[inline(always)]
pub fn find<T: Table>(key: &Key) -> Option<Entry<T::Entry>> {
    Entry::find(T::flight(), key)
}

/// Makes the entry, all zeros. `None`: there is no room, or the process has its share; the caller counts it.
#[inline(always)]
pub fn make<T: Table>(hit: &Hit, key: &Key) -> Option<Entry<T::Entry>> {
    if !has_room::<T>(hit) {
        return None;
    }
    T::flight().insert(key, T::blank().get_at(0)?, 0).ok()?;
    add::<T>(hit, 1);
    find::<T>(key)
}

/// Makes the entry another's copy, whatever it was before. `false`: there is no room.
#[inline(always)]
pub fn copy<T: Table>(hit: &Hit, key: &Key, from: &T::Entry) -> bool {
    let is_new = T::flight().get_ptr(key).is_none();
    if is_new && !has_room::<T>(hit) {
        return false;
    }
    let is_done = T::flight().insert(key, from, 0).is_ok();
    if is_new && is_done {
        add::<T>(hit, 1);
    }
    is_done
}

/// What is kept is of no use any more. Whether there was anything.
#[inline(always)]
pub fn remove<T: Table>(hit: &Hit, key: &Key) -> bool {
    let was_there = T::flight().remove(key).is_ok();
    if was_there {
        add::<T>(hit, -1);
    }
    was_there
}

/// Whether so many entries are kept that idle ones have to give way: above three quarters of the table, or of the process's share.
#[inline(always)]
pub fn is_crowded<T: Table>(hit: &Hit) -> bool {
    let limit = T::entries() / 4 * 3;
    sign(limit.wrapping_sub(used(T::uses()))) != 0 || !has_less::<T>(hit, limit / SHARES + 1)
}

/// Whether the process has less than its share.
#[inline(always)]
fn has_room<T: Table>(hit: &Hit) -> bool {
    has_less::<T>(hit, T::entries() / SHARES)
}

/// Whether the process has fewer entries than so many.
#[inline(always)]
fn has_less<T: Table>(hit: &Hit, limit: u64) -> bool {
    let owned = owned::<T>(hit) as u64;
    if sign(owned.wrapping_sub(limit)) != 0 {
        return true;
    }
    if !T::GIVES_WAY {
        return false;
    }
    let key = hit.tgid as u64 | (T::NUMBER as u64) << 32;
    // SAFETY: the pointer is the map's. Volatile: the agent writes to it meanwhile.
    let given = GIVEN_WAY.get_ptr(&key).map_or(0, |given| unsafe { given.read_volatile() });
    sign(owned.wrapping_sub(given).wrapping_sub(limit)) != 0
}

/// Entries of this process. It may fall below 0 by what an earlier program in the same process left behind and this one has removed.
#[inline(always)]
fn owned<T: Table>(hit: &Hit) -> i64 {
    hit.process().entries[T::NUMBER] as i64
}

#[inline(always)]
fn add<T: Table>(hit: &Hit, more: i64) {
    hit.add_entries(T::NUMBER, more);
    add_use(T::uses(), more);
}

/// How many entries a table has. Word 0: those that programs have made, less those that they removed; 1: those that the agent has swept.
#[inline(always)]
pub fn used(counts: &Array<u64>) -> u64 {
    let made = counts.get_at(0).copied().unwrap_or(0);
    let swept = counts.get_at(1).copied().unwrap_or(0);
    made.wrapping_sub(swept)
}

/// There are so many more now, or fewer.
#[inline(always)]
pub fn add_use(counts: &Array<u64>, more: i64) {
    if let Some(word) = counts.at(0) {
        atomic_add(word.as_ptr(), more);
    }
}
