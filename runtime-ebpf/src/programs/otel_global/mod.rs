//! Spans that a program makes by hand with a tracer of OpenTelemetry's global provider, without an SDK, before v1.33: the API makes a
//! `nonRecordingSpan` of each, which holds nothing of it, and whose methods do nothing. What is said of a span is seen as the methods are called.
//!
//! ```text
//! start     `(*tracer).Start` entered                 ► KIND_BEGUN; the entry, by the goroutine
//! started   its return                                the entry, by the addresses of the span; ► KIND_GONE of what lay there
//! set_...   `(*nonRecordingSpan).SetName` and the rest  ► a record for each
//! end       `(*nonRecordingSpan).End`                 ► KIND_ENDED
//! ```
//! A nonRecordingSpan is copied to the heap twice: what Start returns has one address, what the context holds another. Both lead to the span. A program
//! that keeps one of them only leaves the other to the garbage collector, and another span's copy may lie there before this one ends. Where
//! an SDK has been set up meanwhile, the tracer hands on to its delegate, and nothing is done here.

mod gather;
mod returned;

use core::mem::MaybeUninit;

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{map, uprobe},
    maps::{Array, ProgramArray},
    programs::ProbeContext,
};
use runtime_ebpf::{
    abi::MAX_FILES,
    counters,
    libraries::OTEL_GLOBAL,
    made::{BEGINS, SAMPLED, TOLD},
    otel_global::{
        ADD_EVENT, ADD_LINK, END, ERROR, File, NEW_ROOT, RECORD_ERROR, SET_ATTRIBUTES, SET_NAME, SET_STATUS,
        START,
        counters::Counter,
        records::{
            ERROR_TYPE_BYTES, ITEM_DESCRIPTION, ITEM_ERROR_TEXT, ITEM_ERROR_TYPE, ITEM_NAME, ITEM_SCOPE,
            KIND_ATTRIBUTES, KIND_BEGUN, KIND_ENDED, KIND_ERROR, KIND_EVENT, KIND_LINKED, KIND_NAMED,
            KIND_STATUS,
        },
    },
    record::PARENT_NONE,
};

use crate::{
    by_hand,
    count::{self, count_of},
    enter::{Hit, arrive},
    ids,
    in_flight::Span,
    parent::{self, Context, Parent},
    read::{GoString, is_some, known, opaque, read, read_result, try_read},
    registers::GoRegisters,
};
use gather::{Call, NOTHING, Source, class, class_of_option, tell, tell_little, tell_much};
use returned::started;

#[map]
static OTEL_GLOBAL_FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);

/// What goes on where a call has much to say, in the order of the places below.
#[map]
static OTEL_GLOBAL_TAILS: ProgramArray = ProgramArray::with_max_entries(5, 0);
const START_LARGE: u32 = 0;
const SET_ATTRIBUTES_LARGE: u32 = 1;
const ADD_EVENT_LARGE: u32 = 2;
const RECORD_ERROR_LARGE: u32 = 3;
const ADD_LINK_LARGE: u32 = 4;

/// Sends what a call says: here, or, where that is much, in the program at that place of the tails, which is then this one for a large record.
#[inline(always)]
fn say<const LARGE: bool>(ctx: &ProbeContext, place: u32, call: Call<'_>, source: &Source) {
    if LARGE {
        tell_much(call, source);
    } else if !tell(call, source) {
        // SAFETY: the map has programs of uprobes alone.
        unsafe { OTEL_GLOBAL_TAILS.tail_call(ctx, place) };
        // It is not there.
        count(call.hit, Counter::Cut);
    }
}

/// A program that says what a call does, and the one in which it goes on where that is much.
macro_rules! both {
    ($(#[doc = $doc:literal])+ $program:ident $large:ident $body:ident) => {
        $(#[doc = $doc])+
        #[uprobe]
        pub fn $program(ctx: ProbeContext) -> u32 {
            $body::<false>(&ctx);
            0
        }

        /// The same, for a large record.
        #[uprobe]
        pub fn $large(ctx: ProbeContext) -> u32 {
            $body::<true>(&ctx);
            0
        }
    };
}

both! {
    /// `Start(ctx, name, opts...)`.
    otel_global_start otel_global_start_large start
}
both! {
    /// `SetAttributes(kv...)`.
    otel_global_set_attributes otel_global_set_attributes_large set_attributes
}
both! {
    /// `AddEvent(name, opts...)`.
    otel_global_add_event otel_global_add_event_large add_event
}
both! {
    /// `RecordError(err, opts...)`.
    otel_global_record_error otel_global_record_error_large record_error
}
both! {
    /// `AddLink(link)`, which lies on the stack.
    otel_global_add_link otel_global_add_link_large add_link
}

/// Options of a call of which one may say that the span is a root.
const MOST_OPTIONS: u64 = 8;

#[inline(always)]
pub fn count(hit: &Hit, counter: Counter) {
    count_of(hit.library, counter as u32);
}

/// A hit at one of the entries: the file, and what its addresses are less than those of the process.
#[inline(always)]
fn enter<const ENTRY: usize>(ctx: &ProbeContext) -> Option<(Hit, &'static File, u64)> {
    let (hit, file) = arrive(ctx, OTEL_GLOBAL, &OTEL_GLOBAL_FILES, |file| file.checks[ENTRY])?;
    Some((hit, file, ctx.instruction().wrapping_sub(file.entry_vaddrs[ENTRY])))
}

#[inline(always)]
fn start<const LARGE: bool>(ctx: &ProbeContext) {
    let Some((hit, file, bias)) = enter::<START>(ctx) else { return };
    let tracer = ctx.argument::<0>();
    let Some(delegate) = known(tracer, file.delegate).and_then(read::<u64>) else {
        count(&hit, Counter::Unreadable);
        return;
    };
    // An SDK is there: the span is its own.
    if delegate != 0 {
        return;
    }
    let Some(goid) = hit.goid() else {
        count(&hit, Counter::Unreadable);
        return;
    };
    let options = GoString { address: ctx.argument::<5>(), len: ctx.argument::<6>() };
    if !LARGE && !begin(ctx, &hit, file, bias, goid, options) {
        return;
    }
    // It is read anew: verifiers before Linux 6.3 would follow what comes behind a reservation once for each way in which it came to be.
    let Some(span) = by_hand::begun(&hit, goid) else { return };
    let name = GoString { address: ctx.argument::<3>(), len: ctx.argument::<4>() };
    let mut words = Words { fault: 0 };
    let source = Source {
        texts: [(ITEM_NAME, name), (ITEM_SCOPE, words.text(tracer + file.name as u64))],
        options,
        tracers: words.text(tracer + file.options as u64),
        ..Source::EMPTY
    };
    let call = Call { hit: &hit, file, bias, span: &span, kind: KIND_BEGUN, number: 0 };
    say::<LARGE>(ctx, START_LARGE, call, &source);
    words.count();
}

/// Reads words of the target's memory without a branch, for the verifier's sake as above.
struct Words {
    /// A bit of it is set if something could not be read.
    fault: u64,
}

impl Words {
    /// Zeros where they cannot be read.
    #[inline(always)]
    fn at<const N: usize>(&mut self, address: u64) -> [u64; N] {
        let mut value = MaybeUninit::<[u64; N]>::uninit();
        self.fault |= opaque(read_result(value.as_mut_ptr().cast(), 8 * N as u32, address).cast_unsigned());
        // SAFETY: the helper has filled all of it, with zeros where it failed.
        unsafe { value.assume_init() }
    }

    /// A string or a slice.
    #[inline(always)]
    fn text(&mut self, address: u64) -> GoString {
        let [address, len] = self.at(address);
        GoString { address, len }
    }

    /// Nothing may be missing unseen.
    #[inline(always)]
    fn count(&self) {
        if self.fault != 0 {
            count::count(counters::Counter::ReadFault);
        }
    }
}

/// A span begins, and is kept by its goroutine until its function returns. Whether it is recorded.
#[inline(always)]
fn begin(ctx: &ProbeContext, hit: &Hit, file: &File, bias: u64, goid: u64, options: GoString) -> bool {
    // SAFETY: plain helper call.
    let start_ns = unsafe { bpf_ktime_get_ns() };
    let parent = if file.has_new_root != 0 && is_root(file, bias, options) {
        Parent { trace: None, kind: PARENT_NONE }
    } else {
        parent::find(hit, goid, bias, Context { itab: ctx.argument::<1>(), data: ctx.argument::<2>() })
    };
    let identity = ids::identify(hit, start_ns, parent.trace);
    let is_sampled = identity.is_sampled();
    let mut span = Span {
        generation: hit.process().generation,
        state: if is_sampled { BEGINS | SAMPLED } else { BEGINS },
        goid,
        start_ns,
        trace_id: [0; 2],
        span_id: 0,
        parent_span_id: 0,
        trace_flags: 0,
        parent: PARENT_NONE,
        library: hit.library,
        own: TOLD,
    };
    span.set_identity(&identity, parent.kind);
    if by_hand::begins(hit, &span).is_none() {
        count(hit, if is_sampled { Counter::FlightFull } else { Counter::UnsampledFull });
        return false;
    }
    count(hit, if is_sampled { Counter::Started } else { Counter::Unsampled });
    is_sampled
}

/// Whether one of the options makes the span a root.
#[inline(always)]
fn is_root(file: &File, bias: u64, options: GoString) -> bool {
    for nth in 0..MOST_OPTIONS {
        if nth >= options.len {
            break;
        }
        let [itab, data] = try_read::<[u64; 2]>(options.address + 16 * nth).unwrap_or([0; 2]);
        if class_of_option(file, bias, itab, try_read(data).unwrap_or(0)) == NEW_ROOT {
            return true;
        }
    }
    false
}

/// `Start` returns a context and a span.
#[uprobe]
pub fn otel_global_started(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, OTEL_GLOBAL, &OTEL_GLOBAL_FILES, |_| 0) {
        started(&ctx, &hit, file);
    }
    0
}

/// A hit at a method of a span that is open and recorded.
#[inline(always)]
fn method<const ENTRY: usize>(ctx: &ProbeContext) -> Option<(Hit, &'static File, u64, Span)> {
    let (hit, file, bias) = enter::<ENTRY>(ctx)?;
    let span = by_hand::find(&hit, ctx.argument::<0>()).filter(|span| span.has(SAMPLED))?;
    Some((hit, file, bias, span))
}

/// `End(opts...)`.
#[uprobe]
pub fn otel_global_end(ctx: ProbeContext) -> u32 {
    if let Some((hit, file, bias)) = enter::<END>(&ctx) {
        match by_hand::take(&hit, ctx.argument::<0>()) {
            None => count(&hit, Counter::Unmatched),
            Some(span) if span.has(SAMPLED) => {
                let options = GoString { address: ctx.argument::<1>(), len: ctx.argument::<2>() };
                let call = Call { hit: &hit, file, bias, span: &span, kind: KIND_ENDED, number: 0 };
                tell_little(call, &Source { options, ..Source::EMPTY });
            }
            Some(_) => {}
        }
    }
    0
}

#[inline(always)]
fn set_attributes<const LARGE: bool>(ctx: &ProbeContext) {
    let Some((hit, file, bias, span)) = method::<SET_ATTRIBUTES>(ctx) else { return };
    let attributes = GoString { address: ctx.argument::<1>(), len: ctx.argument::<2>() };
    let call = Call { hit: &hit, file, bias, span: &span, kind: KIND_ATTRIBUTES, number: 0 };
    say::<LARGE>(ctx, SET_ATTRIBUTES_LARGE, call, &Source { attributes, ..Source::EMPTY });
}

/// `SetName(name)`.
#[uprobe]
pub fn otel_global_set_name(ctx: ProbeContext) -> u32 {
    if let Some((hit, file, bias, span)) = method::<SET_NAME>(&ctx) {
        let name = GoString { address: ctx.argument::<1>(), len: ctx.argument::<2>() };
        let call = Call { hit: &hit, file, bias, span: &span, kind: KIND_NAMED, number: 0 };
        tell_little(call, &Source { texts: [(ITEM_NAME, name), (0, NOTHING)], ..Source::EMPTY });
    }
    0
}

/// `SetStatus(code, description)`.
#[uprobe]
pub fn otel_global_set_status(ctx: ProbeContext) -> u32 {
    if let Some((hit, file, bias, span)) = method::<SET_STATUS>(&ctx) {
        let description = GoString { address: ctx.argument::<2>(), len: ctx.argument::<3>() };
        let number = ctx.argument::<1>() as u32 as u64;
        let call = Call { hit: &hit, file, bias, span: &span, kind: KIND_STATUS, number };
        tell_little(
            call,
            &Source { texts: [(ITEM_DESCRIPTION, description), (0, NOTHING)], ..Source::EMPTY },
        );
    }
    0
}

#[inline(always)]
fn add_event<const LARGE: bool>(ctx: &ProbeContext) {
    let Some((hit, file, bias, span)) = method::<ADD_EVENT>(ctx) else { return };
    let name = GoString { address: ctx.argument::<1>(), len: ctx.argument::<2>() };
    let options = GoString { address: ctx.argument::<3>(), len: ctx.argument::<4>() };
    let call = Call { hit: &hit, file, bias, span: &span, kind: KIND_EVENT, number: 0 };
    let source = Source { texts: [(ITEM_NAME, name), (0, NOTHING)], options, ..Source::EMPTY };
    say::<LARGE>(ctx, ADD_EVENT_LARGE, call, &source);
}

#[inline(always)]
fn record_error<const LARGE: bool>(ctx: &ProbeContext) {
    let Some((hit, file, bias, span)) = method::<RECORD_ERROR>(ctx) else { return };
    let itab = ctx.argument::<1>();
    // No error is none.
    if itab == 0 {
        return;
    }
    // An itab's second word is its type; its TFlag is at 20, its name's offset at 40 (internal/abi/type.go). All without a branch, as above.
    let mut words = Words { fault: 0 };
    let [kind] = words.at(itab + 8);
    let [flags, _, _, offset] = words.at(kind + 16);
    let (flags, offset) = (flags >> 32 & 0xff, offset & 0xffff_ffff);
    let is_named = (is_some(file.types_vaddr) & is_some(offset)).wrapping_neg();
    let address = file.types_vaddr.wrapping_add(bias).wrapping_add(offset);
    let holds_text = (is_some((class(file, bias, kind) ^ ERROR) as u64) ^ 1).wrapping_neg();
    let mut of_text = Words { fault: 0 };
    let text = of_text.text(ctx.argument::<2>());
    // Of another type's data it is no matter what is read.
    words.fault |= of_text.fault & holds_text;
    let texts = [
        (ITEM_ERROR_TYPE & is_named as u16, GoString { address, len: ERROR_TYPE_BYTES }),
        (ITEM_ERROR_TEXT & holds_text as u16, text),
    ];
    let options = GoString { address: ctx.argument::<3>(), len: ctx.argument::<4>() };
    let call = Call { hit: &hit, file, bias, span: &span, kind: KIND_ERROR, number: flags };
    say::<LARGE>(ctx, RECORD_ERROR_LARGE, call, &Source { texts, options, ..Source::EMPTY });
    words.count();
}

#[inline(always)]
fn add_link<const LARGE: bool>(ctx: &ProbeContext) {
    let Some((hit, file, bias, span)) = method::<ADD_LINK>(ctx) else { return };
    // Above the return address (amd64), or the word that is kept for it (arm64).
    let links = GoString { address: ctx.stack() + 8, len: 1 };
    let call = Call { hit: &hit, file, bias, span: &span, kind: KIND_LINKED, number: 0 };
    say::<LARGE>(ctx, ADD_LINK_LARGE, call, &Source { links, ..Source::EMPTY });
}
