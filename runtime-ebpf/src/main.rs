//! The eBPF programs. Built by `scripts/build-ebpf`, one object per architecture; the agent loads them once for all
//! processes (docs/decisions/one-load.md). Kernel 5.8 or newer: ring buffers, `bpf_probe_read_user`.
//!
//! One module per library under `programs/`; what they share stands beside them.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod by_hand;
mod connection;
mod count;
mod current;
mod enter;
mod go_error;
mod header_names;
mod headers;
mod identity;
mod ids;
mod in_flight;
mod kernel;
mod parent;
mod programs;
mod read;
mod registers;
mod ring;
mod senders;
mod stack;
mod texts;
mod trace_states;
mod traceparent;
mod tracestate;
mod whole_key;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here panics: the verifier would refuse a program that could get here.
    loop {}
}

// bpf_probe_read_user needs no GPL, bpf_ringbuf_query and the trace helpers do.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
