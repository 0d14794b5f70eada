//! The span of an RPC: names, attributes, status.
//!
//! gRPC conventions 1.45.0. Decisions that they leave open:
//! - A method that its server does not have (gRPC answers UNIMPLEMENTED itself, no handler does) is `_OTHER`, with what was asked for in
//!   `rpc.method_original`: anybody can make up names. Clients call what was compiled into them.
//! - A method of more than 256 bytes has its first bytes and `…` behind them.
//! - A code that gRPC does not have is written as its number. It is an error for a client, and none for a server.
//! - A client's RPC that its own context has cancelled is an error: gRPC's conventions name one exception, OK.
//! - The status's message is the span's description.
//! - `server.*` of a client is the channel's target, of a server the `:authority` that it was called by.

use std::borrow::Cow;

use runtime_ebpf::grpc::{CODE_OK, CODE_UNREADABLE, records::Ended};

use super::begun::Begun;
use super::records::Side;
use super::status;
use crate::libraries::join::SpanContext;
use crate::records::Text;
use crate::spans::semconv::{self as key, METHOD_OTHER, scope};
use crate::spans::{Attributes, FLAG_HAS_REMOTE, FLAG_REMOTE, Kind, Span, Value, text};

/// The value of `rpc.system.name`, and the name of a span without a method.
const GRPC: &str = "grpc";

/// Builds the span.
pub fn span<'a>(
    side: Side,
    begun: &'a Begun,
    ended: &Ended,
    message: Option<Text<'a>>,
    cx: &mut SpanContext<'_>,
) -> Span<'a> {
    let method = method(side, begun, ended);
    let name = if method == METHOD_OTHER { GRPC } else { method };
    let parent = (begun.parent_span_id != [0; 8]).then_some(begun.parent_span_id);
    let is_remote = parent.is_some() && begun.parent_is_remote;
    let start_unix_ns = cx.clock.unix_ns(begun.start_ns);
    let mut span = Span {
        scope: scope::GRPC,
        trace_id: begun.trace_id,
        span_id: begun.span_id,
        parent_span_id: parent,
        trace_state: begun.trace_state.as_deref().map(Cow::Borrowed),
        flags: u32::from(begun.trace_flags) | FLAG_HAS_REMOTE | if is_remote { FLAG_REMOTE } else { 0 },
        name: name.into(),
        kind: if side == Side::Client { Kind::Client } else { Kind::Server },
        start_unix_ns,
        end_unix_ns: cx.clock.unix_ns(ended.head.end_ns).max(start_unix_ns),
        attributes: Vec::with_capacity(10),
        dropped_attributes: 0,
        events: Vec::new(),
        dropped_events: 0,
        links: Vec::new(),
        made: None,
        error: false,
        message: None,
    };
    let attributes = &mut span.attributes;
    attributes.push((key::RPC_SYSTEM_NAME, Value::Str(GRPC.into())));
    attributes.push((key::RPC_METHOD, Value::Str(method.into())));
    if method == METHOD_OTHER && !begun.method.is_empty() {
        attributes.push((key::RPC_METHOD_ORIGINAL, Value::Str(begun.method.as_str().into())));
    }
    address(attributes, key::SERVER_ADDRESS, key::SERVER_PORT, begun.server.as_ref());
    address(attributes, key::NETWORK_PEER_ADDRESS, key::NETWORK_PEER_PORT, begun.peer.as_ref());
    if let Some(error) = outcome(side, ended.code, attributes) {
        attributes.push((key::ERROR_TYPE, Value::Str(error)));
        span.error = true;
        let said = message.filter(|message| message.full_len > 0);
        span.message = said.map(|message| text::lossy(message, cx.counts));
    }
    cx.settings.limit(&mut span);
    cx.counts.built += 1;
    span
}

/// `rpc.method`: without the slash in front of it.
fn method<'a>(side: Side, begun: &'a Begun, ended: &Ended) -> &'a str {
    let method = begun.method.strip_prefix('/').unwrap_or(&begun.method);
    // What is none by its form is refused by a function of its own since v1.82; up to then the slash in front may be missing.
    let is_malformed = || {
        let is_refused = ended.code == status::UNIMPLEMENTED;
        is_refused && (!method.contains('/') || !begun.method.starts_with('/'))
    };
    let is_unknown = side == Side::Server && (ended.is_unknown_method != 0 || is_malformed());
    if is_unknown || method.is_empty() { METHOD_OTHER } else { method }
}

fn address<'a>(
    attributes: &mut Attributes<'a>,
    address: &'static str,
    port: &'static str,
    value: Option<&'a (String, Option<u16>)>,
) {
    let Some((host, number)) = value else { return };
    attributes.push((address, Value::Str(host.as_str().into())));
    if let Some(number) = number {
        attributes.push((port, Value::Int(i64::from(*number))));
    }
}

/// Writes the code, and gives `error.type` where it is an error.
fn outcome(side: Side, code: u32, attributes: &mut Attributes<'_>) -> Option<Cow<'static, str>> {
    if code == CODE_UNREADABLE {
        return None;
    }
    let name = status::name(code).map_or_else(|| Cow::Owned(code.to_string()), Cow::Borrowed);
    attributes.push((key::RPC_STATUS_CODE, Value::Str(name.clone())));
    let is_error = match side {
        Side::Client => code != CODE_OK,
        Side::Server => status::is_servers_fault(code),
    };
    is_error.then_some(name)
}
