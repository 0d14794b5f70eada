//! A wheel's two probes.

use aya_ebpf::{
    helpers::bpf_ktime_get_ns,
    macros::{map, uprobe},
    maps::{Array, HashMap},
    programs::ProbeContext,
};
use runtime_ebpf::{
    abi::MAX_FILES,
    libraries::TOY_WHEEL,
    record::{Head, PARENT_NONE},
    toy_wheel::{File, Flight, KIND_TURN, Turn, counters::Counter},
};

use crate::{
    count::count_of,
    enter::{Hit, enter},
    ids,
    registers::GoRegisters,
    ring,
};

#[map]
static TOY_WHEEL_FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);
#[map]
static TOY_WHEEL_FLIGHT: HashMap<[u64; 2], Flight> = HashMap::with_max_entries(1, 0);
#[map]
static TOY_WHEEL_USE: Array<u64> = Array::with_max_entries(2, 0);
#[unsafe(no_mangle)]
static TOY_WHEEL_ENTRIES: u64 = 1;

fn key(hit: &Hit) -> [u64; 2] {
    [hit.goroutine, hit.tgid as u64]
}

fn now() -> u64 {
    // SAFETY: plain helper call.
    unsafe { bpf_ktime_get_ns() }
}

/// `(*Wheel).Turn(w, n)`.
#[uprobe]
pub fn toy_wheel_start(ctx: ProbeContext) -> u32 {
    let Some(hit) = enter(&ctx) else { return 0 };
    let Some(file) = TOY_WHEEL_FILES.get(hit.file()) else { return 0 };
    if ctx.restarts(file.start_check) {
        return 0;
    }
    let Some(goid) = hit.goid() else { return 0 };
    let generation = hit.process().generation;
    let flight = Flight { generation, reserved: 0, goid, start_ns: now(), turns: ctx.argument::<1>() };
    if TOY_WHEEL_FLIGHT.insert(&key(&hit), &flight, 0).is_err() {
        count_of(TOY_WHEEL.code, Counter::NoRoom as u32);
    }
    0
}

/// It returns.
#[uprobe]
pub fn toy_wheel_end(ctx: ProbeContext) -> u32 {
    let Some(hit) = enter(&ctx) else { return 0 };
    let key = key(&hit);
    // SAFETY: the running goroutine alone writes to its entry.
    let flight = unsafe { TOY_WHEEL_FLIGHT.get(&key) }.copied();
    let _ = TOY_WHEEL_FLIGHT.remove(&key);
    let ours = flight
        .filter(|flight| flight.generation == hit.process().generation && hit.goid() == Some(flight.goid));
    let Some(flight) = ours else {
        count_of(TOY_WHEEL.code, Counter::Unknown as u32);
        return 0;
    };
    let identity = ids::identify(&hit, flight.start_ns, None);
    if !identity.is_sampled() {
        return 0;
    }
    let Some(mut record) = ring::reserve(size_of::<Turn>()) else {
        count_of(TOY_WHEEL.code, Counter::NoRoom as u32);
        return 0;
    };
    let head = Head {
        library: TOY_WHEEL.code,
        kind: KIND_TURN,
        len: size_of::<Turn>() as u32,
        tgid: hit.tgid,
        generation: flight.generation,
        start_ns: flight.start_ns,
        end_ns: now(),
        trace_id: words(identity.trace_id),
        span_id: identity.span_id.to_ne_bytes(),
        parent_span_id: [0; 8],
        trace_flags: identity.trace_flags,
        parent: PARENT_NONE,
        reserved: [0; 6],
    };
    // SAFETY: the reservation is a Turn.
    unsafe { record.as_mut_ptr().cast::<Turn>().write(Turn { head, turns: flight.turns }) };
    ring::submit(record);
    0
}

fn words([a, b]: [u64; 2]) -> [u8; 16] {
    // SAFETY: the same bytes.
    unsafe { core::mem::transmute([a, b]) }
}
