//! The span of a request: names, attributes, status.
//!
//! HTTP server conventions 1.45.0. Decisions that they leave open:
//! - A handler that wrote nothing has status 0 in memory; net/http then sends 200, and so does the span. Not so where it did
//!   not return: then nobody knows what was sent, and the status is left out. But a request that asked for another protocol
//!   (`Upgrade`, named by `Connection`) and whose connection was taken over with no status set has 101: inferred, since
//!   WebSocket libraries write that answer themselves. It needs the request's text: where that could not be read or proven,
//!   the status is left out.
//! - A panic makes the span's status Error. `error.type` is the status code if an error status (5xx) was written before,
//!   else `panic`: the connection is cut, whatever was written.
//! - `http.ErrAbortHandler` and `runtime.Goexit` are no error of their own (an error status that was written before is). The
//!   conventions want `error.type` exactly where the operation has failed. ErrAbortHandler is net/http's documented way to
//!   end a response that nobody reads any more: its ReverseProxy gives up by it when either side has left, net/http logs
//!   nothing, and since 1.41 the conventions do not take a caller's leaving for an error. Goexit is how test helpers leave a
//!   handler. That either was a failure would be a guess; that the status is missing is what was seen.
//! - A handler that returned when its stream was closed already (reset by the client, or its connection lost) and had written
//!   nothing has no status: nothing was answered, and whoever leaves makes no error.
//! - A connection that was closed with its request open, and nobody can say how that came about, is no error either.
//! - `server.*` come from `Forwarded`, else `X-Forwarded-Host`, else `Request.Host` (of an absolute-form target, Go puts its host
//!   there); `url.scheme` and `client.address` likewise. An address that the handler's middleware has put into `RemoteAddr` goes
//!   before what a header says: the application knows which proxies it trusts.
//! - `url.path` is the path as it was on the wire, escapes kept. CONNECT's authority-form has none: it is empty then.
//! - A route that a router has said goes before the pattern that the server's own Request has at the end: a router that is asked in a
//!   handler of net/http's ServeMux knows more. Where the router cannot tell a look-up for a 405 from another, a 405 has none.
//!   ServeMux's own look-up goes behind it: it says what a copy of the Request was given.
//! - A route that did not fit its slot is left out and counted: a cut route would be a wrong one.

use std::borrow::Cow;

use runtime_ebpf::http_server::records::{
    ENDED_CLIENT, ENDED_PATTERN, HOW_FINISHED, HOW_HIJACKED, HOW_PANICKED, ROUTE_IF_NONE, ROUTE_UNLESS_405,
};
use runtime_ebpf::http_server::{STATUS_UNKNOWN, TLS_UNKNOWN};

use crate::records::Text;
use crate::spans::authority::host_port_of;
use crate::spans::clock::Clock;
use crate::spans::semconv::{self as key, METHOD_OTHER};
use crate::spans::{
    Attributes, Counts, FLAG_HAS_REMOTE, FLAG_REMOTE, Kind, Settings, Span, Value, redaction, text,
};

use super::begun::{Begun, HOST, METHOD, PEER, TARGET, USER_AGENT};
use super::records::EndedView;

/// Builds the span of a request; `scope` is its library's.
pub(super) fn span<'a>(
    scope: &'static str,
    begun: &'a Begun,
    ended: &EndedView<'a>,
    clock: &Clock,
    settings: &Settings,
    counts: &mut Counts,
) -> Span<'a> {
    let (method, original) = method(begun, settings, counts);
    let route = route(begun, ended, counts);
    let parent = (begun.parent_span_id != [0; 8]).then_some(begun.parent_span_id);
    let is_remote = parent.is_some() && begun.parent_is_remote;
    let start_unix_ns = clock.unix_ns(begun.start_ns);
    let mut span = Span {
        scope,
        trace_id: begun.trace_id,
        span_id: begun.span_id,
        parent_span_id: parent,
        trace_state: begun.more.as_ref().and_then(|more| more.trace_state.as_deref()).map(Cow::Borrowed),
        flags: u32::from(begun.trace_flags) | FLAG_HAS_REMOTE | if is_remote { FLAG_REMOTE } else { 0 },
        name: name(&method, route.as_deref()),
        kind: Kind::Server,
        start_unix_ns,
        end_unix_ns: clock.unix_ns(ended.fixed.head.end_ns).max(start_unix_ns),
        attributes: Vec::with_capacity(16),
        dropped_attributes: 0,
        events: Vec::new(),
        dropped_events: 0,
        links: Vec::new(),
        made: None,
        error: false,
        message: None,
    };
    let attributes = &mut span.attributes;
    put(attributes, key::HTTP_REQUEST_METHOD, Some(method));
    url(begun, settings, attributes, counts);
    put(attributes, key::HTTP_ROUTE, route);
    span.error = outcome(begun, ended, attributes);
    put(attributes, key::HTTP_REQUEST_METHOD_ORIGINAL, original);
    peers(begun, ended, attributes, counts);
    let user_agent = begun.non_empty(USER_AGENT).map(|text| text::lossy(text, counts));
    put(attributes, key::USER_AGENT_ORIGINAL, user_agent);
    settings.limit(&mut span);
    counts.built += 1;
    span
}

fn put<'a>(attributes: &mut Attributes<'a>, key: &'static str, value: Option<Cow<'a, str>>) {
    if let Some(value) = value {
        attributes.push((key, Value::Str(value)));
    }
}

/// `http.request.method` and, where that is `_OTHER`, what the request said.
fn method<'a>(
    begun: &'a Begun,
    settings: &Settings,
    counts: &mut Counts,
) -> (Cow<'a, str>, Option<Cow<'a, str>>) {
    let Some(text) = begun.non_empty(METHOD) else { return (METHOD_OTHER.into(), None) };
    let method = text::lossy(text, counts);
    let known = !text.is_cut() && settings.known_methods.iter().any(|known| *known == method);
    if known { (method, None) } else { (METHOD_OTHER.into(), Some(method)) }
}

fn name<'a>(method: &str, route: Option<&str>) -> Cow<'a, str> {
    let method = if method == METHOD_OTHER { "HTTP" } else { method };
    match route {
        Some(route) => [method, " ", route].concat().into(),
        None => method.to_owned().into(),
    }
}

/// The pattern `[METHOD ][HOST]/[PATH]` from its first slash.
fn route<'a>(begun: &'a Begun, ended: &EndedView<'a>, counts: &mut Counts) -> Option<Cow<'a, str>> {
    let own = ended.non_empty(ENDED_PATTERN);
    let routed = begun.more.as_ref().and_then(|more| more.route.as_ref());
    let routed = routed.filter(|route| match route.bits {
        ROUTE_UNLESS_405 => ended.fixed.status != 405,
        ROUTE_IF_NONE => own.is_none(),
        _ => true,
    });
    let said = routed.map(|route| route.text.as_deref().map(Text::whole));
    let (text, is_cut) = match said {
        Some(said) => (said.unwrap_or(Text::whole(&[])), said.is_none()),
        None => own.map(|text| (text, text.is_cut()))?,
    };
    if is_cut {
        counts.routes_cut += 1;
        return None;
    }
    let start = text.bytes.iter().position(|byte| *byte == b'/')?;
    let bytes = text.bytes.get(start..)?;
    Some(text::lossy(Text::whole(bytes), counts))
}

fn url<'a>(begun: &'a Begun, settings: &Settings, attributes: &mut Attributes<'a>, counts: &mut Counts) {
    let target = begun.non_empty(TARGET);
    let (path, query) = target.map_or((None, None), |target| request_uri(target, counts));
    put(attributes, key::URL_PATH, path);
    let query = query.filter(|query| !query.is_empty());
    let query = query.map(|query| redaction::redact(query, &settings.sensitive_query_keys));
    put(attributes, key::URL_QUERY, query);
    let seen = match begun.tls {
        0 => Some("http"),
        TLS_UNKNOWN => None,
        _ => Some("https"),
    };
    let forwarded = begun.more.as_ref().and_then(|more| more.forwarded.scheme.as_deref());
    let scheme = forwarded.or(seen);
    put(attributes, key::URL_SCHEME, scheme.map(Cow::Borrowed));
}

/// Path and query of a request target: origin-form, absolute-form, `*`, or CONNECT's authority-form.
fn request_uri<'a>(uri: Text<'a>, counts: &mut Counts) -> (Option<Cow<'a, str>>, Option<Cow<'a, str>>) {
    let uri = text::lossy_url(uri, counts);
    if uri.starts_with('/') || uri == "*" {
        return split_query(uri);
    }
    let Some(authority) = uri.find("://").map(|at| at + 3) else { return (Some("".into()), None) };
    let rest = uri.get(authority..).unwrap_or_default();
    match rest.find(['/', '?']) {
        Some(at) => {
            let (path, query) = split_query(text::split_at(uri, authority + at).1);
            (path.map(|path| if path.is_empty() { "/".into() } else { path }), query)
        }
        None => (Some("/".into()), None),
    }
}

fn split_query(target: Cow<'_, str>) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
    let Some(mark) = target.find('?') else { return (Some(target), None) };
    let (path, query) = text::split_at(target, mark);
    (Some(path), Some(text::split_at(query, 1).1))
}

/// Status code and error type; true if the span failed.
fn outcome(begun: &Begun, ended: &EndedView<'_>, attributes: &mut Attributes<'_>) -> bool {
    let how = ended.fixed.how;
    let status = match ended.fixed.status {
        0 if how == HOW_FINISHED => Some(200),
        0 if how == HOW_HIJACKED && begun.asks_upgrade => Some(101),
        STATUS_UNKNOWN => None,
        status => Some(status).filter(|status| (100..1000).contains(status)),
    };
    if let Some(status) = status {
        attributes.push((key::HTTP_RESPONSE_STATUS_CODE, Value::Int(i64::from(status))));
    }
    let error = match status {
        Some(status) if status >= 500 => Some(Cow::Owned(status.to_string())),
        _ if how == HOW_PANICKED => Some(Cow::Borrowed(key::ERROR_PANIC)),
        _ => None,
    };
    let failed = error.is_some();
    put(attributes, key::ERROR_TYPE, error);
    failed
}

/// The client is the peer unless the handler, or somebody for it, has put another address into the request, or a proxy has named it.
fn peers<'a>(begun: &'a Begun, ended: &EndedView<'a>, attributes: &mut Attributes<'a>, counts: &mut Counts) {
    let mut address = |text: Text<'a>| (text, host_port_of(text::lossy(text, counts)));
    let forwarded = begun.more.as_ref().map(|more| &more.forwarded);
    let part = |part: Option<&'a str>| part.map(|text| Text::whole(text.as_bytes()));
    let host = part(forwarded.and_then(|said| said.host.as_deref())).or_else(|| begun.non_empty(HOST));
    let server = host.map(&mut address);
    let named = part(forwarded.and_then(|said| said.client.as_deref())).map(&mut address);
    let peer = begun.non_empty(PEER).map(&mut address);
    let client = ended.non_empty(ENDED_CLIENT).map(&mut address);
    // A port without a host says nothing (`Host: :80`, which net/http takes).
    if let Some((text, (host, port))) = server.filter(|(_, (host, _))| !host.is_empty()) {
        put(attributes, key::SERVER_ADDRESS, Some(host));
        put_port(attributes, key::SERVER_PORT, port.filter(|_| !text.is_cut()));
    }
    let usable = |host: &Cow<'_, str>| !host.is_empty() && host != "@";
    let peer = peer.map(|(_, address)| address).filter(|(host, _)| usable(host));
    let client = client.map(|(_, (host, _))| host).filter(usable);
    let client = client.or_else(|| named.map(|(_, (host, _))| host).filter(usable));
    let client = client.or_else(|| peer.as_ref().map(|(host, _)| host.clone()));
    put(attributes, key::CLIENT_ADDRESS, client);
    if let Some((host, port)) = peer {
        put(attributes, key::NETWORK_PEER_ADDRESS, Some(host));
        put_port(attributes, key::NETWORK_PEER_PORT, port);
    }
    put(attributes, key::NETWORK_PROTOCOL_VERSION, version(begun));
}

fn put_port(attributes: &mut Attributes<'_>, key: &'static str, port: Option<u16>) {
    if let Some(port) = port {
        attributes.push((key, Value::Int(i64::from(port))));
    }
}

fn version(begun: &Begun) -> Option<Cow<'static, str>> {
    match (begun.proto_major, begun.proto_minor) {
        (0, _) => None,
        (1, 0) => Some("1.0".into()),
        (1, 1) => Some("1.1".into()),
        (major, 0) => Some(major.to_string().into()),
        (major, minor) => Some(format!("{major}.{minor}").into()),
    }
}

#[cfg(test)]
#[path = "span_tests.rs"]
pub(super) mod tests;
