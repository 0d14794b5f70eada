//! What the eBPF programs and the agent share: map keys and values, ring-buffer records, counters.
//!
//! Everything here is `repr(C)`, plain integers and byte arrays, without padding that carries meaning; sizes are pinned by
//! tests. The programs themselves are the `strobe-ebpf` binary of this crate (`scripts/build-ebpf`).
//!
//! Not here: what the values mean as spans (`runtime::spans`).
#![no_std]

#[cfg(test)]
extern crate std;

pub mod abi;
pub mod counters;
pub mod errors;
pub mod grpc;
pub mod hpack;
pub mod http2_server;
pub mod http_client;
pub mod http_server;
pub mod libraries;
pub mod made;
pub mod process;
pub mod record;
pub mod sampler;
pub mod signals;
pub mod sockets;
pub mod trace_parent;
pub mod trace_state;

pub use libraries::*;

/// The compiled programs for this machine's architecture, as `scripts/build-ebpf` left them.
///
/// aya wants the bytes aligned to 8, hence the wrapper.
#[cfg(feature = "objects")]
pub fn object() -> &'static [u8] {
    #[repr(C, align(8))]
    struct Aligned<B: ?Sized>(B);
    #[cfg(target_arch = "x86_64")]
    static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!("../objects/strobe-x86_64.o"));
    #[cfg(target_arch = "aarch64")]
    static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!("../objects/strobe-aarch64.o"));
    &OBJECT.0
}
