//! segmentio/kafka-go: a span for each call of `(*Writer).WriteMessages` and topic, one for each message that `(*Reader).FetchMessage` gets, and
//! one for each call of `(*Reader).CommitMessages`.
//!
//! ```text
//! write       WriteMessages entered                  the entry, and its span by `kafka_go_record`
//! write_end   what it defers, with its error         ► KIND_SENT for each topic
//! read        FetchMessage entered                   likewise
//! read_end    behind its `select`: it has a message  ► KIND_POLLED
//! commit      CommitMessages entered                 likewise
//! commit_end  behind its `select`s                   ► KIND_COMMITTED
//!
//! join        messages of a call are for a partition ► KIND_JOINED
//! make        which begins a batch for them          ► KIND_MADE
//! produce     a batch is sent to the broker          ► KIND_PRODUCING
//! produced    which answers                          ► KIND_PRODUCED
//! ```
//! All are hits on the caller's goroutine, which is the key, but the last two: a goroutine of the writer's sends a partition's batches.

mod begin;
mod end;
mod flight;
mod links;
mod outcome;
mod places;
mod topics;

use aya_ebpf::{
    macros::{map, uprobe},
    maps::ProgramArray,
    programs::ProbeContext,
};
use runtime_ebpf::{
    counters::Counter as Core,
    kafka_go::{File, counters::Counter},
    libraries::KAFKA_GO,
};

use crate::{
    count::count as count_core,
    enter::{Hit, enter},
    parent::Context,
    read::{GoString, read_or_zero, word_or_zero},
    registers::GoRegisters,
    whole_key::WholeKey as _,
};
use begin::{Call, Messages};
use end::Next;
use flight::{COMMIT, GoErrorWords, OPEN, READ, WRITE, count};

#[map]
static KAFKA_GO_TAILS: ProgramArray = ProgramArray::with_max_entries(4, 0);
/// The place of `kafka_go_record`.
const RECORD: u32 = 0;
/// That of `kafka_go_topics`.
const TOPICS: u32 = 1;
/// That of `kafka_go_errors`.
const ERRORS: u32 = 2;
/// That of `kafka_go_spans`.
const SPANS: u32 = 3;

/// The hit and its file, if its process is traced.
#[inline(always)]
fn arrive(ctx: &ProbeContext) -> Option<(Hit, &'static File)> {
    let hit = enter(ctx)?.of(KAFKA_GO);
    if hit.never_samples() {
        return None;
    }
    Some((hit, flight::KAFKA_GO_FILES.get_at(hit.file())?))
}

/// Whether the function will start again, which is counted.
#[inline(always)]
fn restarts(ctx: &ProbeContext, check: u8) -> bool {
    let restarts = ctx.restarts(check);
    if restarts {
        count_core(Core::Restarted);
    }
    restarts
}

/// Goes on in another program, which does not return. Where the kernel refuses that, the operation is lost, and counted.
#[inline(always)]
fn go_on(ctx: &ProbeContext, tail: u32) {
    // SAFETY: the map's programs are of this object and take the same context.
    unsafe { KAFKA_GO_TAILS.tail_call(ctx, tail) };
    count(Counter::NoTail);
}

/// The call, by its first two arguments: a writer or reader, and a context.
#[inline(always)]
fn call(ctx: &ProbeContext, hit: &Hit, operation: u32) -> Call {
    let context = Context { itab: ctx.argument::<1>(), data: ctx.argument::<2>() };
    Call { operation, subject: ctx.argument::<0>(), context, depth: hit.depth(ctx.stack()) }
}

/// The slice that is the last argument of a writer's, and of a reader's.
#[inline(always)]
fn messages(ctx: &ProbeContext) -> Messages {
    Messages { address: ctx.argument::<3>(), count: ctx.argument::<4>() }
}

/// `(*Writer).WriteMessages(w, ctx, msgs)`.
#[uprobe]
pub fn kafka_go_write(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    if file.write_vaddr == 0 || restarts(&ctx, file.write_check) {
        return 0;
    }
    let call = call(&ctx, &hit, WRITE);
    // Without an address, or closed, it writes nothing, and the end is not seen.
    let has_address = word_or_zero(call.subject, file.writer_addr, 0) != 0;
    if !has_address || word_or_zero(call.subject, file.writer_closed, 0) & 0xff != 0 {
        return 0;
    }
    let topic = GoString {
        address: word_or_zero(call.subject, file.writer_topic, 0),
        len: word_or_zero(call.subject, file.writer_topic, 8),
    };
    begin_with_messages(&ctx, &hit, file.write_vaddr, &call, messages(&ctx), topic);
    0
}

/// `(*Reader).CommitMessages(r, ctx, msgs)`.
#[uprobe]
pub fn kafka_go_commit(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    if file.commit_vaddr == 0 || restarts(&ctx, file.commit_check) {
        return 0;
    }
    let call = call(&ctx, &hit, COMMIT);
    // A reader that is of no group commits nothing, and the end is not seen.
    if word_or_zero(call.subject, file.reader_group, 8) == 0 {
        return 0;
    }
    let none = GoString { address: 0, len: 0 };
    begin_with_messages(&ctx, &hit, file.commit_vaddr, &call, messages(&ctx), none);
    0
}

#[inline(always)]
fn begin_with_messages(
    ctx: &ProbeContext,
    hit: &Hit,
    vaddr: u64,
    call: &Call,
    messages: Messages,
    topic: GoString,
) {
    let bias = ctx.instruction().wrapping_sub(vaddr);
    if let Some(flight) = begin::begin(hit, bias, call) {
        if call.operation == WRITE && messages.count == 0 {
            // Nothing is sent; its end is seen all the same.
            flight.state = OPEN;
            return;
        }
        let tail = if begin::keep_messages(hit, flight, messages, topic) { TOPICS } else { RECORD };
        go_on(ctx, tail);
    }
}

/// `(*Reader).FetchMessage(r, ctx)`.
#[uprobe]
pub fn kafka_go_read(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    if file.read_vaddr == 0 || restarts(&ctx, file.read_check) {
        return 0;
    }
    let bias = ctx.instruction().wrapping_sub(file.read_vaddr);
    let call = call(&ctx, &hit, READ);
    if let Some(flight) = begin::begin(&hit, bias, &call) {
        begin::keep_version(file, flight, call.subject);
        go_on(&ctx, RECORD);
    }
    0
}

/// Where messages are looked at for their topics.
#[uprobe]
pub fn kafka_go_topics(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    let is_more = begin::count_topics(&hit, file);
    go_on(&ctx, if is_more { TOPICS } else { RECORD });
    0
}

/// Where all go on.
#[uprobe]
pub fn kafka_go_record(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx) {
        begin::record(&hit, file);
    }
    0
}

/// The error that `WriteMessages` returns: where it defers something it lies in its frame. Where it does not return, since a balancer panicked
/// or has left the goroutine, what it defers is called from elsewhere, and nobody knows.
#[inline(always)]
fn returned(ctx: &ProbeContext, hit: &Hit, file: &File) -> GoErrorWords {
    let [begin, bytes] = file.write_code;
    let back_to = ctx.back_to().wrapping_sub(end::bias(hit)).wrapping_sub(begin);
    if back_to >= bytes {
        return GoErrorWords::UNKNOWN;
    }
    let word = |n: usize| read_or_zero(ctx.stack().wrapping_add(file.error_slots[n]));
    GoErrorWords { itab: word(0), data: word(1) }
}

/// What `WriteMessages` defers.
#[uprobe]
pub fn kafka_go_write_end(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    match end::written(&hit, file, &ctx, returned(&ctx, &hit, file)) {
        Next::Nothing => {}
        Next::Errors => go_on(&ctx, ERRORS),
        Next::Spans => go_on(&ctx, SPANS),
    }
    0
}

/// Where the topics of a call that has failed get their errors.
#[uprobe]
pub fn kafka_go_errors(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    let is_more = end::tell_errors(&hit, file, returned(&ctx, &hit, file));
    go_on(&ctx, if is_more { ERRORS } else { SPANS });
    0
}

/// Where the spans of a call are sent.
#[uprobe]
pub fn kafka_go_spans(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    if end::send_next(&hit, file, returned(&ctx, &hit, file)) {
        go_on(&ctx, SPANS);
    }
    0
}

/// The `select` of `FetchMessage`.
#[uprobe]
pub fn kafka_go_read_end(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    end::polled(&hit, file, &ctx);
    0
}

/// One of those of `CommitMessages`.
#[uprobe]
pub fn kafka_go_commit_end(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    end::committed(&hit, file, &ctx);
    0
}

/// `(*partitionWriter).writeMessages(ptw, msgs, indexes)`, which `WriteMessages` calls for each partition, under the writer's lock.
#[uprobe]
pub fn kafka_go_join(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    if file.produce_vaddr == 0 || restarts(&ctx, file.join_check) {
        return 0;
    }
    links::joined(&hit, file, ctx.argument::<0>(), ctx.argument::<5>());
    0
}

/// In it, behind `(*partitionWriter).newWriteBatch`.
#[uprobe]
pub fn kafka_go_make(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    if file.produce_vaddr != 0 {
        links::made(&hit, file, ctx.argument::<0>());
    }
    0
}

/// `(*Writer).produce(w, key, batch)`.
#[uprobe]
pub fn kafka_go_produce(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    if file.produce_vaddr == 0 || restarts(&ctx, file.produce_check) {
        return 0;
    }
    links::producing(&hit, file, &ctx);
    0
}

/// `(*Client).Produce`, behind `(*Client).roundTrip`.
#[uprobe]
pub fn kafka_go_produced(ctx: ProbeContext) -> u32 {
    let Some((hit, file)) = arrive(&ctx) else { return 0 };
    if file.produce_vaddr != 0 {
        links::produced(&hit, file, &ctx);
    }
    0
}
