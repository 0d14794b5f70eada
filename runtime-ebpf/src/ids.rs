//! A span's identity and whether it is recorded, decided in the kernel (house.md, decision 7).
//!
//! Ids come from splitmix64 (Steele, Lea, Flood 2014) over a secret of this load, the time, the process and the goroutine:
//! no helper call, where `bpf_get_prandom_u32` would be six. Two spans with the same time, process and goroutine cannot be.

use runtime_ebpf::trace_parent::TraceParent;

use crate::enter::Hit;

/// Set at load from getrandom(2).
#[unsafe(no_mangle)]
static SECRET_A: u64 = 0;
#[unsafe(no_mangle)]
static SECRET_B: u64 = 0;

/// The W3C flag.
pub const FLAG_SAMPLED: u8 = 1;
/// The only one of a parent's flags that is inherited (W3C level 2, 3.2.3).
const FLAG_RANDOM: u8 = 2;

/// Who a span is.
#[derive(Clone, Copy)]
pub struct Identity {
    pub trace_id: [u64; 2],
    pub span_id: u64,
    pub parent_span_id: u64,
    pub trace_flags: u8,
}

impl Identity {
    #[inline(always)]
    pub fn is_sampled(&self) -> bool {
        self.trace_flags & FLAG_SAMPLED != 0
    }
}

/// Trace id first, then the sampler, then a fresh span id (the SDKs' order, semconv.md §4.4).
#[inline(always)]
pub fn identify(hit: &Hit, start_ns: u64, parent: Option<TraceParent>) -> Identity {
    // SAFETY: statics of this object that the loader sets before the program runs.
    let (a, b) = unsafe { (core::ptr::read_volatile(&SECRET_A), core::ptr::read_volatile(&SECRET_B)) };
    // User addresses have 47 or 48 bits on both architectures; Linux's largest process id has 22.
    let who = hit.goroutine ^ (hit.tgid as u64) << 42;
    let first = mix(mix(a ^ start_ns) ^ who);
    let second = mix(mix(b ^ who) ^ start_ns);
    let (trace_id, parent_span_id, flags, sampled_parent) = match parent {
        Some(parent) => (
            parent.trace_id,
            parent.span_id,
            parent.flags & FLAG_RANDOM,
            Some(parent.flags & FLAG_SAMPLED != 0),
        ),
        // Never zero: one of 2^63 values is shared by two, which costs nothing.
        None => ([first, second | 1 << 63], 0, 0, None),
    };
    let sampled = hit.process().sampler.samples(sampled_parent, u64::from_be(trace_id[1]));
    let span_id = mix(first ^ second.rotate_left(32)) | 1 << 63;
    Identity { trace_id, span_id, parent_span_id, trace_flags: flags | sampled as u8 }
}

/// Another span's id, made of one: of what is sent with it.
#[inline(always)]
pub fn further_span_id(span_id: u64, nth: u64) -> u64 {
    mix(span_id.wrapping_add(nth)) | 1 << 63
}

/// splitmix64's step and finish.
#[inline(always)]
pub fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
