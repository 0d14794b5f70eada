//! What is open in a process: which span a goroutine works for, and which context is whose.
//!
//! Servers write here, in processes where a library asks for parents (`File::parents`); `parent` reads. An operation takes up
//! to three places: by its goroutine, which the goroutine keeps when the operation has ended, by its context, and by the
//! goroutine's id.
//!
//! A goroutine alone writes to its entries, but any other may read them, and the kernel gives the memory of a removed entry to
//! the next one at once. So a reader copies an entry and compares its seal: what is not whole is as good as none.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap},
};
use runtime_ebpf::{
    abi::{BY_CONTEXT, BY_GOID, BY_GOROUTINE, Current, PLACES},
    counters::Counter,
    http_server::DEFAULT_ENTRIES,
    trace_parent::TraceParent,
};

use crate::{count::count, enter::Hit, ids::Identity, whole_key::WholeKey as _};

/// The agent sets the real size at load. Preallocated.
#[map]
static CURRENT: HashMap<Key, Current> = HashMap::with_max_entries(PLACES * DEFAULT_ENTRIES, 0);
/// What a new entry is made of: a value on the stack would be 72 bytes of it.
#[map]
static CURRENT_BLANK: Array<Current> = Array::with_max_entries(1, 0);

#[repr(C)]
struct Key {
    address: u64,
    tgid: u32,
    by: u32,
}

impl Key {
    #[inline(always)]
    fn new(hit: &Hit, by: u32, address: u64) -> Self {
        Self { address, tgid: hit.tgid, by }
    }
}

/// A whole entry, as it was when it was read.
#[derive(Clone, Copy)]
pub struct Snapshot {
    pub goroutine: u64,
    pub goid: u64,
    pub context: u64,
    pub trace: TraceParent,
}

/// From now on this goroutine works for that span, and so does whoever is given its context (0: it has none).
#[inline(always)]
pub fn open(hit: &Hit, goid: u64, context: u64, identity: &Identity) {
    let generation = hit.process().generation;
    let key = Key::new(hit, BY_GOROUTINE, hit.goroutine);
    let found = CURRENT.get_ptr_mut(&key);
    let is_kept = found.is_some();
    let Some(entry) = found.or_else(|| make(&key)) else { return };
    // SAFETY: the pointer is the map's; this goroutine's entry is written and removed by this goroutine alone.
    let entry = unsafe { &mut *entry };
    let is_ours = is_kept && entry.generation == generation;
    if is_ours && entry.open != 0 && entry.context != context {
        remove(hit, BY_CONTEXT, entry.context);
    }
    let knows_goid = is_ours && entry.goid == goid;
    if is_ours && !knows_goid {
        remove(hit, BY_GOID, entry.goid);
    }
    write(entry, generation, [hit.goroutine, goid, context], identity);
    if context != 0 {
        insert(&Key::new(hit, BY_CONTEXT, context), entry);
    }
    if !knows_goid {
        insert(&Key::new(hit, BY_GOID, goid), entry);
    }
}

/// The span on this goroutine has ended.
#[inline(always)]
pub fn close(hit: &Hit) {
    let key = Key::new(hit, BY_GOROUTINE, hit.goroutine);
    let Some(entry) = CURRENT.get_ptr_mut(&key) else { return };
    // SAFETY: as in `open`.
    let entry = unsafe { &mut *entry };
    if entry.generation == hit.process().generation && entry.open != 0 {
        set(&raw mut entry.open, 0);
        remove(hit, BY_CONTEXT, entry.context);
    }
}

/// The goroutine ends, or will not work for anybody any more.
#[inline(always)]
pub fn forget(hit: &Hit) {
    let key = Key::new(hit, BY_GOROUTINE, hit.goroutine);
    let Some(entry) = CURRENT.get_ptr_mut(&key) else { return };
    // SAFETY: as in `open`.
    let entry = unsafe { &*entry };
    if entry.generation == hit.process().generation {
        if entry.open != 0 {
            remove(hit, BY_CONTEXT, entry.context);
        }
        remove(hit, BY_GOID, entry.goid);
    }
    // It was there just now.
    let _ = CURRENT.remove(&key);
}

/// What is open on a goroutine.
#[inline(always)]
pub fn on(hit: &Hit, goroutine: u64, goid: u64) -> Option<Snapshot> {
    let (open, snapshot) = read(hit, &Key::new(hit, BY_GOROUTINE, goroutine))?;
    (open && snapshot.goid == goid).then_some(snapshot)
}

/// Whose context this is, if it is one that was told of. The inner `None`: that operation has ended.
#[inline(always)]
pub fn of_context(hit: &Hit, context: u64) -> Option<Option<Snapshot>> {
    let (_, named) = read(hit, &Key::new(hit, BY_CONTEXT, context))?;
    let is_it = |open: &Snapshot| open.trace.span_id == named.trace.span_id;
    Some(on(hit, named.goroutine, named.goid).filter(is_it))
}

/// What is open on the goroutine with this id.
#[inline(always)]
pub fn of_goid(hit: &Hit, goid: u64) -> Option<Snapshot> {
    let (_, named) = read(hit, &Key::new(hit, BY_GOID, goid))?;
    on(hit, named.goroutine, goid)
}

#[inline(always)]
fn make(key: &Key) -> Option<*mut Current> {
    let blank = CURRENT_BLANK.get_at(0)?;
    insert(key, blank);
    CURRENT.get_ptr_mut(key)
}

/// Without room the calls below this span look for their parent in another way, or have none: counted.
#[inline(always)]
fn insert(key: &Key, value: &Current) {
    if CURRENT.insert(key, value, 0).is_err() {
        count(Counter::CurrentFull);
    }
}

#[inline(always)]
fn remove(hit: &Hit, by: u32, address: u64) {
    if address != 0 {
        // It is not there where there was no room for it.
        let _ = CURRENT.remove(&Key::new(hit, by, address));
    }
}

#[inline(always)]
fn set<T: Copy>(place: *mut T, value: T) {
    // SAFETY: the caller's place lies in a map's value. Volatile: others read it meanwhile.
    unsafe { place.write_volatile(value) }
}

#[inline(always)]
fn write(entry: &mut Current, generation: u32, [goroutine, goid, context]: [u64; 3], identity: &Identity) {
    let [first, second] = identity.trace_id;
    let (span_id, flags) = (identity.span_id, identity.trace_flags as u64);
    set(&raw mut entry.generation, generation);
    set(&raw mut entry.open, 1);
    set(&raw mut entry.goroutine, goroutine);
    set(&raw mut entry.goid, goid);
    set(&raw mut entry.context, context);
    set(&raw mut entry.trace_id[0], first);
    set(&raw mut entry.trace_id[1], second);
    set(&raw mut entry.span_id, span_id);
    set(&raw mut entry.trace_flags, flags);
    set(&raw mut entry.seal, goroutine ^ goid ^ context ^ first ^ second ^ span_id ^ flags);
}

/// An entry of this generation that is whole, and whether it says that it is open.
#[inline(always)]
fn read(hit: &Hit, key: &Key) -> Option<(bool, Snapshot)> {
    let entry = CURRENT.get_ptr_mut(key)?;
    macro_rules! word {
        // SAFETY: the pointer is the map's. Volatile: somebody else may write to it meanwhile.
        ($($field:tt)+) => { unsafe { (&raw const (*entry).$($field)+).read_volatile() } };
    }
    let (generation, open) = (word!(generation), word!(open));
    let (goroutine, goid, context) = (word!(goroutine), word!(goid), word!(context));
    let (first, second) = (word!(trace_id[0]), word!(trace_id[1]));
    let (span_id, flags) = (word!(span_id), word!(trace_flags));
    let seal = goroutine ^ goid ^ context ^ first ^ second ^ span_id ^ flags;
    if generation != hit.process().generation || seal != word!(seal) {
        return None;
    }
    let trace = TraceParent { trace_id: [first, second], span_id, flags: flags as u8 };
    Some((open != 0, Snapshot { goroutine, goid, context, trace }))
}
