//! Tells the agent of every program that starts, so that it can look whether it is one to trace.
//!
//! A raw tracepoint: it needs no tracefs (field-notes §5). Kernel 4.17.

use aya_ebpf::{
    macros::{map, raw_tracepoint},
    maps::RingBuf,
    programs::RawTracePointContext,
};
use runtime_ebpf::{counters::Counter, process::ExecEvent};

use crate::{count::count, identity::tgid};

/// 4,096 events of 16 bytes, header included: more than any machine starts between two wake-ups.
#[map]
static EXEC_EVENTS: RingBuf = RingBuf::with_byte_size(64 * 1024, 0);

#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn process_exec(_ctx: RawTracePointContext) -> i32 {
    let event = ExecEvent { tgid: tgid(), reserved: 0 };
    if EXEC_EVENTS.output::<ExecEvent>(event, 0).is_err() {
        count(Counter::ExecLost);
    }
    0
}
