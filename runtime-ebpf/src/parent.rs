//! The parent of a call within its process, for every library that makes calls.
//!
//! ```text
//! 1  the goroutine's own span, if the call was given that span's very context
//! 2  the chain of contexts that the call was given, up to one that belongs to an open span, or holds one that was made by hand;
//!    or the remote span that was put into it, unless that is the open one's own parent
//! 3  where the chain says nothing: the goroutine's own span
//! 4  the span that is open on the goroutine that created this one
//! ```
//! A chain that names an open span beats the goroutine: a worker works for whoever gave it the context. A chain that comes from
//! a request that is not open (it has ended, or the agent never saw it begin) ends the search: no parent. A chain that ends in
//! Background, or at a type that nobody knows, says nothing.

use runtime_ebpf::{
    abi::{CONTEXT_HOLDS_REQUEST, CONTEXT_HOLDS_VALUE, CONTEXT_SLOT_BITS, ContextSlot, Contexts, MAX_FILES},
    counters::Counter,
    record::{PARENT_LOCAL, PARENT_NONE, PARENT_REMOTE},
    trace_parent::TraceParent,
};

use aya_ebpf::{macros::map, maps::Array};

use crate::{
    by_hand,
    count::count,
    current::{self, Snapshot},
    enter::Hit,
    read::{is_some, known, opaque, read, try_read, try_read_bytes},
    whole_key::WholeKey as _,
};

/// Contexts of one chain that are looked at.
const MOST_CONTEXTS: u32 = 32;

#[map]
static CONTEXTS: Array<Contexts> = Array::with_max_entries(MAX_FILES, 0);

/// A value of `context.Context`.
#[derive(Clone, Copy)]
pub struct Context {
    /// Address of the itab.
    pub itab: u64,
    /// The data word.
    pub data: u64,
}

/// A parent, or none.
pub struct Parent {
    pub trace: Option<TraceParent>,
    /// A `PARENT_` constant.
    pub kind: u8,
}

impl Parent {
    #[inline(always)]
    fn local(trace: Option<TraceParent>) -> Self {
        let kind = if trace.is_some() { PARENT_LOCAL } else { PARENT_NONE };
        Self { trace, kind }
    }
}

/// What a chain of contexts says.
enum Said {
    Open(Snapshot),
    /// What somebody else has sent, and the program has put there.
    Remote(TraceParent),
    /// The address of what the program has of a span that it has made by hand, open or not.
    Made(u64),
    Ended,
    Nothing,
}

/// The parent of a call on this goroutine with this context; `bias` is what the file's addresses are less than those of the
/// process.
#[inline(always)]
pub fn find(hit: &Hit, goid: u64, bias: u64, context: Context) -> Parent {
    let own = current::on(hit, hit.goroutine, goid);
    if let Some(own) = own
        && (own.context == context.data || context.data == 0)
    {
        return Parent::local(Some(own.trace));
    }
    Parent::local(match walk(hit, bias, context) {
        Said::Open(named) => is_alive(hit, &named).then_some(named.trace),
        Said::Remote(trace) => return Parent { trace: Some(trace), kind: PARENT_REMOTE },
        Said::Made(span) => by_hand::parent(hit, span),
        Said::Ended => None,
        Said::Nothing => own.or_else(|| creators(hit)).map(|open| open.trace),
    })
}

/// Whether its goroutine is still the one that it was written for. Where an end was never seen (an RPC whose handler leaves by
/// `runtime.Goexit`), the entry stays open, and its context's address is used again: what is found there is somebody else's. Memory
/// of a `g` is never given back.
#[inline(always)]
fn is_alive(hit: &Hit, open: &Snapshot) -> bool {
    let Some(at) = hit.runtime().and_then(|runtime| known(open.goroutine, runtime.g_goid)) else {
        return false;
    };
    try_read::<u64>(at) == Some(open.goid)
}

/// The span that is open on the goroutine that created this one.
#[inline(always)]
pub fn creators(hit: &Hit) -> Option<Snapshot> {
    let parent = known(hit.goroutine, hit.runtime()?.g_parent_goid).and_then(read::<u64>)?;
    current::of_goid(hit, parent).filter(|open| is_alive(hit, open))
}

/// Goes from one context to the next.
#[inline(always)]
fn walk(hit: &Hit, bias: u64, first: Context) -> Said {
    let Some(contexts) = CONTEXTS.get_at(hit.file()) else { return Said::Nothing };
    let mut context = first;
    let mut seen = Seen { is_requests: opaque(0), span_type: opaque(0), span: opaque(0) };
    for _ in 0..MOST_CONTEXTS {
        if context.data == 0 {
            return seen.says(contexts, bias);
        }
        match current::of_context(hit, context.data) {
            Some(Some(open)) => return seen.beside(contexts, bias, open),
            Some(None) => {
                seen.is_requests = 1;
                return seen.says(contexts, bias);
            }
            None => {}
        }
        let Some(next) = next(contexts, bias, context, &mut seen) else { return seen.says(contexts, bias) };
        if next.span != 0 {
            return Said::Made(next.span);
        }
        context = next.context;
    }
    count(Counter::ContextsCut);
    seen.says(contexts, bias)
}

/// What was met on the way. Not the end: anybody may have put such values above a request that is open.
struct Seen {
    /// Not 0: what a server put there, or a span that nobody here knows.
    is_requests: u64,
    /// The first of those spans: the type of the value, and its data word; 0: none.
    span_type: u64,
    span: u64,
}

impl Seen {
    /// What a chain says that has named no open span.
    #[inline(always)]
    fn says(&self, contexts: &Contexts, bias: u64) -> Said {
        match self.remote(contexts, bias) {
            Some(remote) => Said::Remote(remote),
            None if self.is_requests != 0 => Said::Ended,
            None => Said::Nothing,
        }
    }

    /// What it says that has. A remote span in front of it that is of the same trace is what the request has come with; of another one, it
    /// is what a message has that is worked on meanwhile.
    #[inline(always)]
    fn beside(&self, contexts: &Contexts, bias: u64, open: Snapshot) -> Said {
        match self.remote(contexts, bias) {
            Some(remote) if remote.trace_id != open.trace.trace_id => Said::Remote(remote),
            _ => Said::Open(open),
        }
    }

    /// The remote span, if it is one, and has ids.
    #[inline(always)]
    fn remote(&self, contexts: &Contexts, bias: u64) -> Option<TraceParent> {
        if self.span_type == 0 {
            return None;
        }
        let vaddr = self.span_type.wrapping_sub(bias);
        let [first, second] = contexts.remote_types;
        let offset = if vaddr == first {
            contexts.remote_contexts[0]
        } else if vaddr == second {
            contexts.remote_contexts[1]
        } else {
            return None;
        };
        let words = try_read::<[u64; 4]>(known(self.span, offset)?)?;
        let [high, low, span_id, flags] = words;
        let is_valid = high | low != 0 && span_id != 0;
        is_valid.then_some(TraceParent { trace_id: [high, low], span_id, flags: flags as u8 })
    }
}

/// What follows a context.
struct Next {
    context: Context,
    /// A span that the program has made by hand, which this context puts in front of those behind it; 0: it does not.
    span: u64,
}

#[inline(always)]
fn next(contexts: &Contexts, bias: u64, context: Context, seen: &mut Seen) -> Option<Next> {
    let itab = context.itab.wrapping_sub(bias);
    let slot = slot(contexts, itab);
    if slot.itab_vaddr != itab || itab == 0 {
        return None;
    }
    let mut from = context.data.wrapping_add(slot.offset as u64);
    if slot.kind == CONTEXT_HOLDS_REQUEST {
        let request = read::<u64>(from).filter(|request| *request != 0)?;
        from = known(request, contexts.request_ctx)?;
    }
    let mut words = core::mem::MaybeUninit::<[u64; 2]>::uninit();
    if !try_read_bytes(words.as_mut_ptr().cast(), 16, from) {
        count(Counter::ReadFault);
        return None;
    }
    let mut span = 0;
    if slot.kind == CONTEXT_HOLDS_VALUE && contexts.request_key_type | contexts.span_key_type != 0 {
        // `valueCtx` is { Context; key, val any }: the first word of the key, and of the value, is its type.
        let mut pair = core::mem::MaybeUninit::<[u64; 4]>::uninit();
        try_read_bytes(pair.as_mut_ptr().cast(), 32, from.wrapping_add(16));
        // SAFETY: the helper has filled it, with zeros where it failed.
        let [key, _, value, data] = unsafe { pair.assume_init() };
        // 1 if they are equal, without a branch for the verifier to follow. A descriptor that is not known is none of the process's.
        let is = |word: u64, vaddr: u64| is_some(word ^ vaddr.wrapping_add(bias)) ^ 1;
        let holds_span = is(key, contexts.span_key_type) & is_some(contexts.span_key_type);
        let [one, other, third] = contexts.span_types;
        let is_made = (is(value, one) | is(value, other) | is(value, third)) & is_some(one);
        span = opaque(data & (holds_span & is_made).wrapping_neg());
        // A span of another type, a remote one say, is somebody's whom nobody here knows: the goroutine's it is not.
        seen.is_requests |=
            is(key, contexts.request_key_type) & is_some(contexts.request_key_type) | holds_span;
        let is_first = (holds_span & (is_some(seen.span_type) ^ 1)).wrapping_neg();
        seen.span_type = opaque(seen.span_type | value & is_first);
        seen.span = opaque(seen.span | data & is_first);
    }
    // SAFETY: the read has filled it.
    let [itab, data] = unsafe { words.assume_init() };
    Some(Next { context: Context { itab, data }, span })
}

#[inline(always)]
fn slot(contexts: &Contexts, itab: u64) -> &ContextSlot {
    let hash = itab.wrapping_mul(contexts.multiplier) >> (64 - CONTEXT_SLOT_BITS);
    // Below the number of slots, as the verifier sees it.
    let at = (opaque(hash) & ((1 << CONTEXT_SLOT_BITS) - 1)) as usize;
    // SAFETY: the mask leaves the slots of the array.
    unsafe { &*contexts.slots.as_ptr().add(at) }
}
