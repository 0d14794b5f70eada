//! `google.golang.org/grpc.client`: a span for each call of `newClientStream`, that is, for each RPC, however often it is tried.
//!
//! ```text
//! start   newClientStream entered                        ► KIND_BEGAN
//! bind    an attempt has got its transport
//! number  its stream has its number: it is noted who sends it
//! fields  else the header of the attempt has been made
//! send    and is about to be sent: it is noted who sends it
//! frame   the framer has its header together            ► its field, where requests carry the context
//! fail    there is no stream, but an error               ► KIND_FAILED
//! end     (*clientStream).finish entered                 ► KIND_ENDED or KIND_FAILED
//! ```
//! All but `end`, `send` and `frame` are on the caller's goroutine, which is the key until the RPC has its `*clientStream`, the key from then on: who finishes a
//! stream is whoever reads its end, or a goroutine that waits for its context. That happens twice for most streams, and the first
//! counts.

mod carry;
mod end;
mod flight;
mod send;
mod start;

use aya_ebpf::{
    macros::{map, uprobe},
    maps::Array,
    programs::ProbeContext,
};
use runtime_ebpf::{abi::MAX_FILES, grpc::client::File, libraries::GRPC_CLIENT};

use crate::enter::arrive;
use crate::registers::GoRegisters;

#[map]
static GRPC_CLIENT_FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);

/// `newClientStream(ctx, desc, cc, method, opts...)`, after its stack check.
#[uprobe]
pub fn grpc_client_start(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_CLIENT, &GRPC_CLIENT_FILES, |file| file.start_check) {
        start::begin(&ctx, &hit, file);
    }
    0
}

/// `(*csAttempt).newStream(a)` or `newAttemptLocked(cs, …)` after its stack check, or the call of `(*clientStream).withRetry(cs, …)` in
/// `newClientStreamWithParams`.
#[uprobe]
pub fn grpc_client_bind(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_CLIENT, &GRPC_CLIENT_FILES, |file| file.bind_check) {
        start::bind(&hit, file, ctx.stack(), ctx.argument::<0>());
    }
    0
}

/// In a closure of `(*http2Client).NewStream` the call of `mapassign_fast32(type, streams, id)`.
#[uprobe]
pub fn grpc_client_number(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_CLIENT, &GRPC_CLIENT_FILES, |_| 0) {
        send::number(&ctx, &hit, file);
    }
    0
}

/// In `(*http2Client).NewStream` the call of `executeAndPut(c, f, frame)`, or behind that of `createHeaderFields`, with its results (fields
/// []hpack.HeaderField, err error).
#[uprobe]
pub fn grpc_client_fields(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_CLIENT, &GRPC_CLIENT_FILES, |_| 0) {
        send::keep(&ctx, &hit, file);
    }
    0
}

/// The transport's writer is about to send the frame with them, or them, after its stack check.
#[uprobe]
pub fn grpc_client_send(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_CLIENT, &GRPC_CLIENT_FILES, |file| file.send_check) {
        // It is of use to who writes contexts.
        let _ = send::note(&ctx, &hit, file);
    }
    0
}

/// The same where requests carry the context.
#[uprobe]
pub fn grpc_client_send_carrying(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_CLIENT, &GRPC_CLIENT_FILES, |file| file.send_check)
        && let Some(attempt) = send::note(&ctx, &hit, file)
    {
        carry::note(&hit, file, &attempt);
    }
    0
}

/// At the call of `(*Framer).endWrite(f)` in `WriteHeaders`, of whatever is sent. Only where the kernel lets probes write.
#[uprobe]
pub fn grpc_client_frame(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_CLIENT, &GRPC_CLIENT_FILES, |_| 0) {
        carry::carry(&ctx, &hit, file);
    }
    0
}

/// In `newClientStreamWithParams` behind the call of `withRetry`, with its result (err error), which is not nil or, where there is no site for that
/// alone, may be.
#[uprobe]
pub fn grpc_client_fail(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_CLIENT, &GRPC_CLIENT_FILES, |_| 0) {
        end::fail(&hit, file, ctx.stack(), [ctx.argument::<0>(), ctx.argument::<1>()]);
    }
    0
}

/// `(*clientStream).finish(cs, err)`, after its stack check.
#[uprobe]
pub fn grpc_client_end(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx, GRPC_CLIENT, &GRPC_CLIENT_FILES, |file| file.end_check) {
        end::end(&hit, file, ctx.stack(), ctx.argument::<0>(), [ctx.argument::<1>(), ctx.argument::<2>()]);
    }
    0
}
