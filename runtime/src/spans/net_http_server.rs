//! `net/http.server`: a record of a handled request becomes a SERVER span.
//!
//! HTTP server conventions 1.45.0. Decisions that they leave open:
//! - A handler that wrote nothing has status 0 in memory; net/http then sends 200, and so does the span. Not so after a
//!   hijack or a panic: then nobody knows what was sent, and the status is left out.
//! - A panic makes the span's status Error. `error.type` is the status code if an error status (5xx) was written before,
//!   else `panic`: the connection is cut, whatever was written.
//! - `server.*` come from `Request.Host` (of an absolute-form target, Go puts its host there); forwarding headers are not read.
//! - `url.path` is the path as it was on the wire, escapes kept. CONNECT's authority-form has none: it is empty then.
//! - A route that did not fit its slot is left out and counted: a cut route would be a wrong one.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use runtime_ebpf::net_http_server as wire;

use super::clock::Clock;
use super::semconv::{self as key, METHOD_OTHER};
use super::{Attributes, Counts, FLAG_HAS_REMOTE, FLAG_REMOTE, Kind, Settings, Span, Value, text};
use crate::records::{Decoded, Text};

/// Builds the span of a request.
pub fn span<'a>(decoded: &Decoded<'a>, clock: &Clock, settings: &Settings, counts: &mut Counts) -> Span<'a> {
    let record = &decoded.record;
    let (method, original) = method(decoded, settings, counts);
    let route = route(decoded, counts);
    let parent = (record.parent_span_id != [0; 8]).then_some(record.parent_span_id);
    let start_unix_ns = clock.unix_ns(record.start_ns);
    let mut span = Span {
        scope: key::scope::NET_HTTP,
        trace_id: record.trace_id,
        span_id: record.span_id,
        parent_span_id: parent,
        flags: u32::from(record.trace_flags)
            | FLAG_HAS_REMOTE
            | if parent.is_some() { FLAG_REMOTE } else { 0 },
        name: name(&method, route.as_deref()),
        kind: Kind::Server,
        start_unix_ns,
        end_unix_ns: clock.unix_ns(record.end_ns).max(start_unix_ns),
        attributes: Vec::with_capacity(16),
        dropped_attributes: 0,
        error: false,
    };
    let attributes = &mut span.attributes;
    put(attributes, key::HTTP_REQUEST_METHOD, Some(method));
    url(decoded, attributes, &settings.sensitive_query_keys, counts);
    put(attributes, key::HTTP_ROUTE, route);
    span.error = outcome(decoded, attributes);
    put(attributes, key::HTTP_REQUEST_METHOD_ORIGINAL, original);
    peers(decoded, attributes, counts);
    let user_agent = decoded.non_empty(wire::SLOT_USER_AGENT).map(|text| text::lossy(text, counts));
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
    decoded: &Decoded<'a>,
    settings: &Settings,
    counts: &mut Counts,
) -> (Cow<'a, str>, Option<Cow<'a, str>>) {
    let Some(text) = decoded.non_empty(wire::SLOT_METHOD) else { return (METHOD_OTHER.into(), None) };
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
fn route<'a>(decoded: &Decoded<'a>, counts: &mut Counts) -> Option<Cow<'a, str>> {
    let text = decoded.non_empty(wire::SLOT_PATTERN)?;
    if text.is_cut() {
        counts.routes_cut += 1;
        return None;
    }
    let start = text.bytes.iter().position(|byte| *byte == b'/')?;
    let bytes = text.bytes.get(start..)?;
    Some(text::lossy(Text { bytes, full_len: bytes.len() }, counts))
}

fn url<'a>(
    decoded: &Decoded<'a>,
    attributes: &mut Attributes<'a>,
    sensitive: &[String],
    counts: &mut Counts,
) {
    let uri = decoded.text(wire::SLOT_URI);
    let separate = decoded
        .non_empty(wire::SLOT_QUERY)
        .filter(|_| decoded.record.has_query != 0 || decoded.record.uri_kind != wire::URI_REQUEST);
    let (path, inline) = match (uri, decoded.record.uri_kind) {
        (Some(uri), wire::URI_REQUEST) => request_uri(uri, counts),
        (Some(uri), wire::URI_PATH) => (Some(escaped(uri, counts)), None),
        (Some(uri), _) => (Some(text::lossy_url(uri, counts)), None),
        (None, _) => (None, None),
    };
    let query = match (inline, separate) {
        (Some(inline), Some(separate)) if inline.len() < separate.bytes.len() => {
            Some(text::lossy_url(separate, counts))
        }
        (None, Some(separate)) => Some(text::lossy_url(separate, counts)),
        (inline, _) => inline,
    };
    put(attributes, key::URL_PATH, path);
    let query = query.filter(|query| !query.is_empty()).map(|query| redact(query, sensitive));
    put(attributes, key::URL_QUERY, query);
    let scheme = match decoded.record.tls {
        0 => Some("http"),
        wire::TLS_UNKNOWN => None,
        _ => Some("https"),
    };
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

fn escaped<'a>(path: Text<'a>, counts: &mut Counts) -> Cow<'a, str> {
    let bytes = if path.is_cut() {
        counts.texts_cut += 1;
        text::without_partial_char(path.bytes)
    } else {
        path.bytes
    };
    text::escape_path(bytes).into()
}

/// Replaces the values of sensitive keys.
fn redact<'a>(query: Cow<'a, str>, keys: &[String]) -> Cow<'a, str> {
    let is_sensitive = |pair: &str| is_sensitive(pair, keys);
    if !query.split('&').any(is_sensitive) {
        return query;
    }
    let redacted = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_sensitive(pair) => Cow::Owned([name, "=", key::REDACTED].concat()),
        _ => Cow::Borrowed(pair),
    });
    redacted.collect::<Vec<_>>().join("&").into()
}

fn is_sensitive(pair: &str, keys: &[String]) -> bool {
    let Some((name, _)) = pair.split_once('=') else { return false };
    let sensitive = |name: &[u8]| keys.iter().any(|key| key.as_bytes() == name);
    if name.contains('%') {
        return text::percent_decode(name.as_bytes()).is_some_and(|name| sensitive(&name));
    }
    sensitive(name.as_bytes())
}

/// Status code and error type; true if the span failed.
fn outcome(decoded: &Decoded<'_>, attributes: &mut Attributes<'_>) -> bool {
    let record = &decoded.record;
    let (panicked, hijacked) = (record.panicked != 0, record.hijacked != 0);
    let status = match record.status {
        0 if panicked || hijacked => None,
        0 => Some(200),
        status => Some(status).filter(|status| (100..1000).contains(status)),
    };
    if let Some(status) = status {
        attributes.push((key::HTTP_RESPONSE_STATUS_CODE, Value::Int(i64::from(status))));
    }
    let error = match status {
        Some(status) if status >= 500 => Some(Cow::Owned(status.to_string())),
        _ if panicked => Some(Cow::Borrowed(key::ERROR_PANIC)),
        _ => None,
    };
    let failed = error.is_some();
    put(attributes, key::ERROR_TYPE, error);
    failed
}

fn peers<'a>(decoded: &Decoded<'a>, attributes: &mut Attributes<'a>, counts: &mut Counts) {
    let mut address = |slot| decoded.non_empty(slot).map(|text| (text, host_port(text::lossy(text, counts))));
    let server = address(wire::SLOT_HOST);
    let peer = address(wire::SLOT_PEER);
    let client = address(wire::SLOT_CLIENT);
    if let Some((text, (host, port))) = server {
        put(attributes, key::SERVER_ADDRESS, Some(host).filter(|host| !host.is_empty()));
        put_port(attributes, key::SERVER_PORT, port.filter(|_| !text.is_cut()));
    }
    let usable = |host: &Cow<'_, str>| !host.is_empty() && host != "@";
    let peer = peer.map(|(_, address)| address).filter(|(host, _)| usable(host));
    let client = client.map(|(_, (host, _))| host).filter(usable);
    let client = client.or_else(|| peer.as_ref().map(|(host, _)| host.clone()));
    put(attributes, key::CLIENT_ADDRESS, client);
    if let Some((host, port)) = peer {
        put(attributes, key::NETWORK_PEER_ADDRESS, Some(host));
        put_port(attributes, key::NETWORK_PEER_PORT, port);
    }
    put(attributes, key::NETWORK_PROTOCOL_VERSION, version(decoded));
}

fn put_port(attributes: &mut Attributes<'_>, key: &'static str, port: Option<u16>) {
    if let Some(port) = port {
        attributes.push((key, Value::Int(i64::from(port))));
    }
}

fn version(decoded: &Decoded<'_>) -> Option<Cow<'static, str>> {
    match (decoded.record.proto_major, decoded.record.proto_minor) {
        (0, _) => None,
        (1, 0) => Some("1.0".into()),
        (1, 1) => Some("1.1".into()),
        (major, 0) => Some(major.to_string().into()),
        (major, minor) => Some(format!("{major}.{minor}").into()),
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare IPv6 address.
fn host_port(text: Cow<'_, str>) -> (Cow<'_, str>, Option<u16>) {
    // Only a bare IPv6 address has several colons and no bracket; parsing every host would cost a tenth of the span.
    let colons = text.bytes().filter(|byte| *byte == b':').count();
    if colons > 1 && text.parse::<Ipv6Addr>().is_ok() {
        return (text, None);
    }
    let (end, port) = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            (host.len(), port.parse().ok())
        }
        _ => (text.len(), None),
    };
    let host = text::split_at(text, end).0;
    if host.starts_with('[') && host.ends_with(']') {
        let inner = host.len() - 1;
        return (text::split_at(text::split_at(host, inner).0, 1).1, port);
    }
    (host, port)
}

#[cfg(test)]
#[path = "net_http_server_tests.rs"]
mod tests;
