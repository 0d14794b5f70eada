//! The span that a program has made by hand, from the JSON of OTLP that the Auto SDK has written down.
//!
//! Decisions:
//! - Who it is, and whose child, is the agent's to say: the program has been told no ids, and writes zeros.
//! - Everything else is the program's: name, kind, times, attributes, events, links, status, scope and schema.
//! - The agent's limits hold for its attributes as for all spans' (the Auto SDK has applied those of the program's own environment before).
//! - A link to a span of the same program has no ids, for the same reason: it is left out and counted with those that were dropped.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span as Written, TracesData, status::StatusCode};
use prost::Message;
use runtime_ebpf::record::{Head, PARENT_REMOTE};

use crate::records::DecodeError;
use crate::spans::clock::Clock;
use crate::spans::{FLAG_HAS_REMOTE, FLAG_REMOTE, Kind, Made, Scope, Settings, Span, text};

/// Builds the span, but for its `tracestate`.
pub fn span(
    head: &Head,
    json: &[u8],
    clock: &Clock,
    settings: &Settings,
) -> Result<Span<'static>, DecodeError> {
    let no_traces = DecodeError::Unreadable("TracesData of one span, in JSON");
    let traces: TracesData = serde_json::from_slice(json).map_err(|_| no_traces)?;
    let mut scopes = traces.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let (Some(ScopeSpans { scope, spans, schema_url }), None) = (scopes.next(), scopes.next()) else {
        return Err(no_traces);
    };
    let Ok([written]) = <[Written; 1]>::try_from(spans) else { return Err(no_traces) };
    let scope = Scope { encoded: scope.map(|scope| scope.encode_to_vec()).unwrap_or_default(), schema_url };
    Ok(of_written(head, scope, written, clock, settings))
}

/// The same of what has been read of it. Times of 0 are those at which the programs were hit.
pub fn of_written(
    head: &Head,
    scope: Scope,
    mut written: Written,
    clock: &Clock,
    settings: &Settings,
) -> Span<'static> {
    let parent = (head.parent_span_id != [0; 8]).then_some(head.parent_span_id);
    let is_remote = parent.is_some() && head.parent == PARENT_REMOTE;
    let or = |time, hit| if time == 0 { clock.unix_ns(hit) } else { time };
    let start_unix_ns = or(written.start_time_unix_nano, head.start_ns);
    let end_unix_ns = or(written.end_time_unix_nano, head.end_ns).max(start_unix_ns);
    limit(&mut written, settings);
    drop_links(&mut written);
    let (name, kind) = (std::mem::take(&mut written.name), kind(written.kind));
    let status = written.status.as_ref();
    let error = status.is_some_and(|status| status.code == StatusCode::Error as i32);
    let message = status.filter(|_| error).map(|status| status.message.clone().into());
    Span {
        scope: "",
        trace_id: head.trace_id,
        span_id: head.span_id,
        parent_span_id: parent,
        trace_state: None,
        flags: u32::from(head.trace_flags) | FLAG_HAS_REMOTE | if is_remote { FLAG_REMOTE } else { 0 },
        name: name.into(),
        kind,
        start_unix_ns,
        end_unix_ns,
        attributes: Vec::new(),
        dropped_attributes: 0,
        events: Vec::new(),
        dropped_events: 0,
        links: Vec::new(),
        made: Some(Box::new(Made { scope: Arc::new(scope), fields: fields(written) })),
        error,
        message,
    }
}

/// What it has beside who it is, its name and its times.
fn fields(written: Written) -> Vec<u8> {
    let rest = Written {
        trace_id: Vec::new(),
        span_id: Vec::new(),
        parent_span_id: Vec::new(),
        trace_state: String::new(),
        flags: 0,
        name: String::new(),
        kind: 0,
        start_time_unix_nano: 0,
        end_time_unix_nano: 0,
        ..written
    };
    rest.encode_to_vec()
}

fn kind(written: i32) -> Kind {
    [Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer]
        .into_iter()
        .find(|kind| *kind as i32 == written)
        .unwrap_or(Kind::Internal)
}

/// Applies the agent's limits.
fn limit(written: &mut Written, settings: &Settings) {
    let dropped = written.attributes.len().saturating_sub(settings.attribute_count_limit);
    written.attributes.truncate(settings.attribute_count_limit);
    let more = u32::try_from(dropped).unwrap_or(u32::MAX);
    written.dropped_attributes_count = written.dropped_attributes_count.saturating_add(more);
    let Some(length) = settings.value_length_limit else { return };
    let of_events = written.events.iter_mut().flat_map(|event| &mut event.attributes);
    let of_links = written.links.iter_mut().flat_map(|link| &mut link.attributes);
    for attribute in written.attributes.iter_mut().chain(of_events).chain(of_links) {
        shorten(attribute.value.as_mut(), length);
    }
    if let Some(status) = &mut written.status {
        shorten_text(&mut status.message, length);
    }
}

/// Cuts the strings in a value. How deep they are nested is limited by whoever has read the JSON.
fn shorten(value: Option<&mut AnyValue>, length: usize) {
    match value.and_then(|value| value.value.as_mut()) {
        Some(Any::StringValue(text)) => shorten_text(text, length),
        Some(Any::ArrayValue(array)) => {
            array.values.iter_mut().for_each(|value| shorten(Some(value), length));
        }
        Some(Any::KvlistValue(list)) => {
            list.values.iter_mut().for_each(|KeyValue { value, .. }| shorten(value.as_mut(), length));
        }
        _ => {}
    }
}

fn shorten_text(held: &mut String, length: usize) {
    let mut text = std::mem::take(held).into();
    text::truncate_chars(&mut text, length);
    *held = text.into_owned();
}

/// Leaves out links without ids, which OTLP forbids.
fn drop_links(written: &mut Written) {
    let all = written.links.len();
    let is_id = |id: &[u8], len: usize| id.len() == len && id.iter().any(|byte| *byte != 0);
    written.links.retain(|link| is_id(&link.trace_id, 16) && is_id(&link.span_id, 8));
    let dropped = u32::try_from(all - written.links.len()).unwrap_or(u32::MAX);
    written.dropped_links_count = written.dropped_links_count.saturating_add(dropped);
}

#[cfg(test)]
mod tests;
