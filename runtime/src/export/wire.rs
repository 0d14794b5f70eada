//! Spans as protobuf, written straight from borrowed strings: no message structs in between, one allocation per span.
//!
//! The agent has a budget of 5 µs of CPU per span; building `opentelemetry_proto` structs takes some thirty allocations.
//! Tests decode what this writes with `opentelemetry_proto` and compare. Field numbers: opentelemetry/proto/trace/v1/trace.proto,
//! common/v1/common.proto, collector/trace/v1/trace_service.proto.
//!
//! ```text
//! ExportTraceServiceRequest  1 resource_spans*
//!   ResourceSpans            1 resource   2 scope_spans*   3 schema_url
//!     ScopeSpans             1 scope   2 spans*   3 schema_url
//!       Span                 1 trace_id 2 span_id 3 trace_state 4 parent 5 name 6 kind 7 start 8 end 9 attributes* 10 dropped
//!                            11 events* 12 dropped events 13 links* 15 status 16 flags
//!         KeyValue           1 key   2 AnyValue { 1 string | 3 int }
//!         Event              1 time   2 name   3 attributes*
//!         Link               1 trace_id 2 span_id 6 flags
//! ```

use std::sync::Arc;

use super::batch::{Item, Scope};
use crate::resource::{AGENT_VERSION, Resource};
use crate::spans::semconv::SCHEMA_URL;
use crate::spans::{Event, Span, Value};

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;
/// `Status.code` of a failed span (`STATUS_CODE_ERROR`).
const STATUS_ERROR: u64 = 2;

/// Encodes a `Span` message.
pub fn encode_span(span: &Span<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(768);
    bytes(&mut out, 1, &span.trace_id);
    bytes(&mut out, 2, &span.span_id);
    if let Some(list) = &span.trace_state {
        bytes(&mut out, 3, list.as_bytes());
    }
    if let Some(parent) = &span.parent_span_id {
        bytes(&mut out, 4, parent);
    }
    bytes(&mut out, 5, span.name.as_bytes());
    number(&mut out, 6, i64::from(span.kind as i32).cast_unsigned());
    fixed64(&mut out, 7, span.start_unix_ns);
    fixed64(&mut out, 8, span.end_unix_ns);
    if let Some(made) = &span.made {
        out.extend_from_slice(&made.fields);
        fixed32(&mut out, 16, span.flags);
        return out;
    }
    for (key, value) in &span.attributes {
        attribute(&mut out, 9, key, value);
    }
    if span.dropped_attributes > 0 {
        number(&mut out, 10, u64::from(span.dropped_attributes));
    }
    for happened in &span.events {
        event(&mut out, happened);
    }
    if span.dropped_events > 0 {
        number(&mut out, 12, u64::from(span.dropped_events));
    }
    for link in &span.links {
        header(
            &mut out,
            13,
            bytes_len(1, link.trace_id.len()) + bytes_len(2, link.span_id.len()) + tag_len(6) + 4,
        );
        bytes(&mut out, 1, &link.trace_id);
        bytes(&mut out, 2, &link.span_id);
        fixed32(&mut out, 6, link.flags);
    }
    if span.error {
        let message = span.message.as_deref().unwrap_or_default();
        let message_len = if message.is_empty() { 0 } else { bytes_len(2, message.len()) };
        header(&mut out, 15, message_len + number_len(3, STATUS_ERROR));
        if !message.is_empty() {
            bytes(&mut out, 2, message.as_bytes());
        }
        number(&mut out, 3, STATUS_ERROR);
    }
    fixed32(&mut out, 16, span.flags);
    out
}

/// Encodes an `ExportTraceServiceRequest`: one `ResourceSpans` per process, in the order of first appearance.
pub fn encode_request(items: &[Item]) -> Vec<u8> {
    let groups = group(items);
    let total: usize = items.iter().map(|item| item.bytes.len() + 8).sum();
    let mut out = Vec::with_capacity(total + groups.len() * 1024);
    for (resource, scope, members) in groups {
        resource_spans(&mut out, resource, scope, &members);
    }
    out
}

type Group<'i> = (&'i Resource, &'i Scope, Vec<&'i [u8]>);

fn group(items: &[Item]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for item in items {
        let resource = Arc::as_ptr(&item.resource);
        let same =
            |(known, scope, _): &&mut Group<'_>| std::ptr::eq(*known, resource) && **scope == item.scope;
        match groups.iter_mut().rev().find(same) {
            Some((_, _, members)) => members.push(&item.bytes),
            None => groups.push((&item.resource, &item.scope, vec![&item.bytes])),
        }
    }
    groups
}

fn resource_spans(out: &mut Vec<u8>, resource: &Resource, scope: &Scope, spans: &[&[u8]]) {
    let mut library = Vec::new();
    let (scope, schema_url) = match scope {
        Scope::Library(name) => {
            bytes(&mut library, 1, name.as_bytes());
            bytes(&mut library, 2, AGENT_VERSION.as_bytes());
            (&library, SCHEMA_URL)
        }
        Scope::Program(scope) => (&scope.encoded, scope.schema_url.as_str()),
    };
    let spans_len: usize = spans.iter().map(|span| bytes_len(2, span.len())).sum();
    let scope_spans_len = bytes_len(1, scope.len()) + spans_len + bytes_len(3, schema_url.len());
    let all = bytes_len(1, resource.encoded.len()) + bytes_len(2, scope_spans_len);
    header(out, 1, all + bytes_len(3, SCHEMA_URL.len()));
    bytes(out, 1, &resource.encoded);
    header(out, 2, scope_spans_len);
    bytes(out, 1, scope);
    for span in spans {
        bytes(out, 2, span);
    }
    bytes(out, 3, schema_url.as_bytes());
    bytes(out, 3, SCHEMA_URL.as_bytes());
}

fn event(out: &mut Vec<u8>, event: &Event<'_>) {
    let attributes = event.attributes.iter();
    let attributes_len: usize = attributes.map(|(key, value)| bytes_len(3, attribute_len(key, value))).sum();
    header(out, 11, tag_len(1) + 8 + bytes_len(2, event.name.len()) + attributes_len);
    fixed64(out, 1, event.unix_ns);
    bytes(out, 2, event.name.as_bytes());
    for (key, value) in &event.attributes {
        attribute(out, 3, key, value);
    }
}

fn attribute(out: &mut Vec<u8>, field: u8, key: &str, value: &Value<'_>) {
    header(out, field, attribute_len(key, value));
    bytes(out, 1, key.as_bytes());
    header(out, 2, value_len(value));
    match value {
        Value::Str(text) => bytes(out, 1, text.as_bytes()),
        Value::Int(int) => number(out, 3, int.cast_unsigned()),
    }
}

fn attribute_len(key: &str, value: &Value<'_>) -> usize {
    bytes_len(1, key.len()) + bytes_len(2, value_len(value))
}

fn value_len(value: &Value<'_>) -> usize {
    match value {
        Value::Str(text) => bytes_len(1, text.len()),
        Value::Int(int) => number_len(3, int.cast_unsigned()),
    }
}

#[inline]
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

#[inline]
fn tag(out: &mut Vec<u8>, field: u8, kind: u8) {
    varint(out, u64::from(field) << 3 | u64::from(kind));
}

fn tag_len(field: u8) -> usize {
    if field < 16 { 1 } else { 2 }
}

#[inline]
fn header(out: &mut Vec<u8>, field: u8, len: usize) {
    tag(out, field, BYTES);
    varint(out, len as u64);
}

#[inline]
fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    header(out, field, value.len());
    out.extend_from_slice(value);
}

fn bytes_len(field: u8, len: usize) -> usize {
    tag_len(field) + varint_len(len as u64) + len
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

fn number_len(field: u8, value: u64) -> usize {
    tag_len(field) + varint_len(value)
}

fn fixed32(out: &mut Vec<u8>, field: u8, value: u32) {
    tag(out, field, FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

fn fixed64(out: &mut Vec<u8>, field: u8, value: u64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::{resource, span};
    use crate::spans::Link;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::{
        ResourceSpans, ScopeSpans, Span as Message, Status, span as otlp,
    };
    use prost::Message as _;

    fn key_values(attributes: &[(&str, Value<'_>)]) -> Vec<KeyValue> {
        let key_value = |(key, value): &(&str, Value<'_>)| {
            let value = Some(match value {
                Value::Str(text) => any_value::Value::StringValue(text.to_string()),
                Value::Int(int) => any_value::Value::IntValue(*int),
            });
            KeyValue { key: (*key).to_owned(), value: Some(AnyValue { value }), ..Default::default() }
        };
        attributes.iter().map(key_value).collect()
    }

    /// The same span by way of `opentelemetry_proto`.
    fn message(span: &Span<'_>) -> Message {
        Message {
            trace_id: span.trace_id.to_vec(),
            span_id: span.span_id.to_vec(),
            parent_span_id: span.parent_span_id.map(|id| id.to_vec()).unwrap_or_default(),
            flags: span.flags,
            trace_state: span.trace_state.as_deref().unwrap_or_default().to_owned(),
            name: span.name.to_string(),
            kind: 2,
            start_time_unix_nano: span.start_unix_ns,
            end_time_unix_nano: span.end_unix_ns,
            attributes: key_values(&span.attributes),
            dropped_attributes_count: span.dropped_attributes,
            events: span.events.iter().map(happened).collect(),
            dropped_events_count: span.dropped_events,
            links: span.links.iter().map(linked).collect(),
            status: span
                .error
                .then(|| Status { code: 2, message: span.message.as_deref().unwrap_or_default().to_owned() }),
            ..Default::default()
        }
    }

    fn happened(event: &Event<'_>) -> otlp::Event {
        let attributes = key_values(&event.attributes);
        let (time_unix_nano, name) = (event.unix_ns, event.name.to_owned());
        otlp::Event { time_unix_nano, name, attributes, ..Default::default() }
    }

    fn linked(link: &Link) -> otlp::Link {
        let (trace_id, span_id) = (link.trace_id.to_vec(), link.span_id.to_vec());
        otlp::Link { trace_id, span_id, flags: link.flags, ..Default::default() }
    }

    fn spans() -> [Span<'static>; 3] {
        let long = "x".repeat(300);
        let mut failed = span("GET /b");
        failed.parent_span_id = Some([5; 8]);
        failed.dropped_attributes = 300;
        failed.events = vec![
            Event { name: "first", unix_ns: 1_500, attributes: Vec::new() },
            Event {
                name: "second",
                unix_ns: 1_600,
                attributes: vec![("text", Value::Str("y".repeat(200).into())), ("number", Value::Int(-7))],
            },
        ];
        failed.dropped_events = 5;
        failed.links = vec![
            Link { trace_id: [6; 16], span_id: [7; 8], flags: 0x301 },
            Link { trace_id: [8; 16], span_id: [9; 8], flags: 0 },
        ];
        failed.error = true;
        failed.message = Some("no such thing".into());
        failed.trace_state = Some("a=1,b=2".into());
        failed.attributes = vec![
            ("negative", Value::Int(-1)),
            ("zero", Value::Int(0)),
            ("large", Value::Int(i64::MAX)),
            ("empty", Value::Str("".into())),
            ("long", Value::Str(long.into())),
        ];
        [span("GET /a"), failed, span("")]
    }

    #[test]
    fn spans_decode_to_what_went_in() {
        for span in spans() {
            assert_eq!(Message::decode(encode_span(&span).as_slice()), Ok(message(&span)));
        }
    }

    #[test]
    fn requests_group_by_process() {
        let (first, second) = (resource("first"), resource("second"));
        let [a, b, c] = spans();
        let item = |span: &Span<'_>, resource: &Arc<Resource>| Item {
            resource: Arc::clone(resource),
            scope: Scope::Library(span.scope),
            bytes: encode_span(span).into(),
        };
        let request = encode_request(&[item(&a, &first), item(&b, &second), item(&c, &first)]);
        let want = [(&first, vec![message(&a), message(&c)]), (&second, vec![message(&b)])];
        let want = want.map(|(resource, spans)| ResourceSpans {
            resource: Some(prost::Message::decode(resource.encoded.as_slice()).expect("resource")),
            schema_url: SCHEMA_URL.to_owned(),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: a.scope.to_owned(),
                    version: AGENT_VERSION.to_owned(),
                    ..Default::default()
                }),
                spans,
                schema_url: SCHEMA_URL.to_owned(),
            }],
        });
        let got = ExportTraceServiceRequest::decode(request.as_slice()).expect("decodes");
        assert_eq!(got.resource_spans, want);
    }

    #[test]
    fn varints_have_the_length_they_say() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
        }
    }
}
