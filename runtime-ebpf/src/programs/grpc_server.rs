//! `google.golang.org/grpc.server`: a span for each call of `(*Server).handleStream`, whichever transport has the stream.
//!
//! ```text
//! start         handleStream entered                    ► KIND_BEGAN
//! end           the HTTP/2 transport is given a status  ► KIND_ENDED or KIND_FAILED
//! handler_end   the same of what net/http serves
//! ```
//! Both are on the goroutine that handles the stream, which is the key. A status is given where the handler has returned, or where there is
//! none; not where the connection was lost before a unary handler returned (up to v1.83): nobody sees that end.

mod begin;
mod end;
mod flight;
mod metadata;
mod peer;

use aya_ebpf::{
    macros::{map, uprobe},
    maps::Array,
    programs::ProbeContext,
};
use runtime_ebpf::{abi::MAX_FILES, grpc::server::File, libraries::GRPC_SERVER};

use crate::enter::arrive;

#[map]
static GRPC_SERVER_FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);

/// `handleStream(s, t, stream)`, after its stack check.
#[uprobe]
pub fn grpc_server_start(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_SERVER, &GRPC_SERVER_FILES, |file| file.start_check) {
        begin::begin(&ctx, &hit, file);
    }
    0
}

/// `(*http2Server).writeStatus(t, stream, st)`, after its stack check.
#[uprobe]
pub fn grpc_server_end(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_SERVER, &GRPC_SERVER_FILES, |file| file.end_check) {
        end::end(&ctx, &hit, file);
    }
    0
}

/// The same of `*serverHandlerTransport`.
#[uprobe]
pub fn grpc_server_handler_end(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_SERVER, &GRPC_SERVER_FILES, |file| file.handler_end_check) {
        end::end(&ctx, &hit, file);
    }
    0
}
