//! What is known of a span that is open.

use std::mem::take;

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{Span as Written, Status, status::StatusCode};
use prost::Message;
use runtime_ebpf::otel_global::records::{
    KIND_ATTRIBUTES, KIND_ENDED, KIND_ERROR, KIND_EVENT, KIND_LINKED, KIND_NAMED, KIND_STATUS,
};

use super::items::{Items, any, set};
use crate::libraries::{errors, open};
use crate::spans::Scope;

/// Most events of a span, and links: what the SDKs keep unless they are told otherwise.
const MOST: usize = 128;
/// Most bytes of records of one span.
const MOST_BYTES: usize = 64 << 10;
/// `abi.TFlagExtraStar`: the type's name has a star before it that is not its own (internal/abi/type.go).
const EXTRA_STAR: u64 = 1 << 1;
/// Go's `codes.Error` and `codes.Ok`.
const ERROR: u64 = 1;
const OK: u64 = 2;

/// An open span.
#[derive(Debug)]
pub struct Kept {
    start_ns: u64,
    scope: Scope,
    written: Written,
    /// The status as Go's API has it, of which the highest counts.
    status: u64,
    bytes: usize,
}

impl open::Kept for Kept {
    fn start_ns(&self) -> u64 {
        self.start_ns
    }

    fn held_bytes(&self) -> usize {
        // What is decoded takes a few times what it was.
        size_of::<Self>() + 4 * self.bytes
    }
}

impl Kept {
    /// A span has begun.
    pub fn begun(start_ns: u64, items: Items, bytes: usize, is_cut: bool) -> Self {
        let scope = InstrumentationScope { name: items.scope, version: items.version, ..Default::default() };
        let written = Written {
            name: items.name.unwrap_or_default(),
            kind: items.span_kind.unwrap_or_default(),
            start_time_unix_nano: items.time_unix_ns.unwrap_or(0),
            attributes: items.attributes,
            dropped_attributes_count: items.dropped + u32::from(is_cut),
            links: items.links,
            ..Written::default()
        };
        let scope = Scope { encoded: scope.encode_to_vec(), schema_url: items.schema };
        Self { start_ns, scope, written, status: 0, bytes }
    }

    /// Something was said of it, `now_unix_ns`. Whether there was room for all of that.
    pub fn said(&mut self, kind: u16, number: u64, now_unix_ns: u64, items: Items, bytes: usize) -> bool {
        let written = &mut self.written;
        match kind {
            KIND_NAMED => written.name = items.name.unwrap_or_default(),
            KIND_STATUS => self.set_status(number, items.description),
            KIND_ENDED => written.end_time_unix_nano = items.time_unix_ns.unwrap_or(0),
            _ if self.bytes.saturating_add(bytes) > MOST_BYTES => {
                self.drop_all(kind, &items);
                return false;
            }
            KIND_ATTRIBUTES => {
                items.attributes.into_iter().for_each(|attribute| set(&mut written.attributes, attribute));
                written.dropped_attributes_count += items.dropped;
            }
            KIND_LINKED => {
                written.links.extend(items.links);
                let more = written.links.len().saturating_sub(MOST);
                written.links.truncate(MOST);
                written.dropped_links_count += u32::try_from(more).unwrap_or(u32::MAX);
            }
            KIND_EVENT | KIND_ERROR if written.events.len() < MOST => {
                written.events.push(event(kind, number, now_unix_ns, items));
            }
            _ => {
                self.drop_all(kind, &items);
                return true;
            }
        }
        self.bytes += bytes;
        true
    }

    fn drop_all(&mut self, kind: u16, items: &Items) {
        let written = &mut self.written;
        match kind {
            KIND_EVENT | KIND_ERROR => written.dropped_events_count += 1,
            KIND_LINKED => written.dropped_links_count += 1,
            _ => {
                let more = u32::try_from(items.attributes.len()).unwrap_or(u32::MAX);
                written.dropped_attributes_count = written.dropped_attributes_count.saturating_add(more);
            }
        }
    }

    /// Not all of a call's attributes are there.
    pub fn is_cut(&mut self) {
        self.written.dropped_attributes_count += 1;
    }

    /// As the SDK for Go has it: "ok" is final, "error" counts more than none, and only that one has a description.
    fn set_status(&mut self, code: u64, description: String) {
        if code < self.status || code > OK {
            return;
        }
        self.status = code;
        let (code, message) = match code {
            ERROR => (StatusCode::Error, description),
            OK => (StatusCode::Ok, String::new()),
            _ => (StatusCode::Unset, String::new()),
        };
        self.written.status = Some(Status { message, code: code as i32 });
    }

    /// All of it.
    pub fn into_parts(mut self) -> (Scope, Written) {
        (take(&mut self.scope), self.written)
    }
}

fn event(kind: u16, number: u64, now_unix_ns: u64, items: Items) -> Event {
    let mut event = Event {
        time_unix_nano: items.time_unix_ns.unwrap_or(now_unix_ns),
        name: items.name.unwrap_or_default(),
        attributes: items.attributes,
        dropped_attributes_count: items.dropped,
    };
    if kind == KIND_ERROR {
        "exception".clone_into(&mut event.name);
        let type_name = items.error_type.as_deref().and_then(errors::name).map(|name| {
            let star = number & EXTRA_STAR != 0;
            String::from_utf8_lossy(name.strip_prefix(b"*").filter(|_| star).unwrap_or(name)).into_owned()
        });
        let of_error = [("exception.type", type_name), ("exception.message", items.error_text)];
        for (key, value) in of_error {
            if let Some(value) = value {
                let value = Some(any(Any::StringValue(value)));
                set(&mut event.attributes, KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
            }
        }
    }
    event
}
