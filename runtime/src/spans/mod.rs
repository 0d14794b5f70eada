//! Spans as the agent builds them: names, attributes and status by the semantic conventions, borrowed from the record.
//!
//! A module of each library ([`crate::libraries`]) turns its records into [`Span`]s. A `Span` borrows its strings from the ring's record where
//! it can and is written out before the next record is read ([`crate::export`]), so that a span costs few allocations. All
//! strings are `str`: one that is not UTF-8 would make a collector refuse the whole batch, and the type rules it out.
//!
//! Not here: transport, queues, and which process a span belongs to.

use std::borrow::Cow;
use std::sync::Arc;

pub mod authority;
pub mod clock;
mod counts;
pub mod redaction;
pub mod semconv;
pub mod text;
pub mod trace_state;

pub use counts::Counts;

/// A span's attributes: key and value.
pub type Attributes<'a> = Vec<(&'static str, Value<'a>)>;

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string.
    Str(Cow<'a, str>),
    /// A number.
    Int(i64),
}

/// The role of a span, numbered as OTLP numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    /// Within a process.
    Internal = 1,
    /// Answers a remote request.
    Server = 2,
    /// Makes one.
    Client = 3,
    /// Sends a message.
    Producer = 4,
    /// Takes one.
    Consumer = 5,
}

/// A finished span.
#[derive(Debug, Clone, PartialEq)]
pub struct Span<'a> {
    /// Instrumentation scope ([`semconv::scope`]).
    pub scope: &'static str,
    /// Trace id.
    pub trace_id: [u8; 16],
    /// Span id.
    pub span_id: [u8; 8],
    /// The remote parent's span id, if there is one.
    pub parent_span_id: Option<[u8; 8]>,
    /// OTLP flags: W3C flags, and whether the parent is remote.
    pub flags: u32,
    /// W3C `tracestate`, the trace's own.
    pub trace_state: Option<Cow<'a, str>>,
    /// Name.
    pub name: Cow<'a, str>,
    /// Kind.
    pub kind: Kind,
    /// Start, nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// End, nanoseconds since 1970, not before the start.
    pub end_unix_ns: u64,
    /// Attributes, each key once.
    pub attributes: Attributes<'a>,
    /// Attributes left out by the count limit.
    pub dropped_attributes: u32,
    /// What has happened in its course.
    pub events: Vec<Event<'a>>,
    /// Events left out by [`MOST_EVENTS`].
    pub dropped_events: u32,
    /// Other spans that it has to do with.
    pub links: Vec<Link>,
    /// Status Error; otherwise unset.
    pub error: bool,
    /// What the status says, beside what `error.type` says already; only of a failed span.
    pub message: Option<Cow<'a, str>>,
    /// What a span has that the program has made by hand; then `scope`, `attributes`, `events`, `links`, `error` and `message`
    /// are not sent.
    pub made: Option<Box<Made>>,
}

/// What the program itself says of a span, as messages of OTLP.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Made {
    /// Whose tracer has made it.
    pub scope: Arc<Scope>,
    /// Attributes, events, links, what was dropped of each, and the status: fields of `Span`, encoded.
    pub fields: Vec<u8>,
}

/// An instrumentation scope of a program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// An `InstrumentationScope`, encoded.
    pub encoded: Vec<u8>,
    /// The schema of its spans; empty: none.
    pub schema_url: String,
}

/// Events that a span has at most: OpenTelemetry's default of `OTEL_SPAN_EVENT_COUNT_LIMIT`.
pub const MOST_EVENTS: usize = 128;

/// Something that has happened in the course of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// Name.
    pub name: &'static str,
    /// When, nanoseconds since 1970.
    pub unix_ns: u64,
    /// Attributes, each key once.
    pub attributes: Attributes<'a>,
}

/// A span that another one has to do with, and is not a child of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Trace id.
    pub trace_id: [u8; 16],
    /// Span id.
    pub span_id: [u8; 8],
    /// OTLP flags, as a span's of its parent.
    pub flags: u32,
}

impl Span<'_> {
    /// The value of a string attribute.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find_map(|(k, value)| match value {
            Value::Str(text) if *k == key => Some(text.as_ref()),
            _ => None,
        })
    }

    /// The value of a number attribute.
    pub fn int(&self, key: &str) -> Option<i64> {
        self.attributes.iter().find_map(|(k, value)| match value {
            Value::Int(number) if *k == key => Some(*number),
            _ => None,
        })
    }
}

/// OTLP: the flag that says that [`FLAG_REMOTE`] is meaningful.
pub const FLAG_HAS_REMOTE: u32 = 0x100;
/// OTLP: the parent is remote.
pub const FLAG_REMOTE: u32 = 0x200;

/// What the configuration says about span contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Methods that are kept as they are; others become `_OTHER`.
    pub known_methods: Vec<String>,
    /// At most this many characters per string value.
    pub value_length_limit: Option<usize>,
    /// At most this many attributes per span.
    pub attribute_count_limit: usize,
    /// Keys of a query whose values are credentials ([`redaction`]).
    pub sensitive_query_keys: Vec<String>,
    /// Whether what proxies say of a request's client, host and scheme is believed.
    pub forwarded: bool,
    /// Whether spans have the text of statements, without its literals.
    pub query_text: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            known_methods: semconv::KNOWN_METHODS.iter().map(|method| (*method).to_owned()).collect(),
            value_length_limit: None,
            attribute_count_limit: 128,
            sensitive_query_keys: semconv::SENSITIVE_QUERY_KEYS.iter().map(|key| (*key).to_owned()).collect(),
            forwarded: true,
            query_text: false,
        }
    }
}

impl Settings {
    /// Applies the limits: the last step of building a span.
    pub fn limit(&self, span: &mut Span<'_>) {
        if span.attributes.len() > self.attribute_count_limit {
            let dropped = span.attributes.len() - self.attribute_count_limit;
            span.attributes.truncate(self.attribute_count_limit);
            span.dropped_attributes = u32::try_from(dropped).unwrap_or(u32::MAX);
        }
        let dropped = span.events.len().saturating_sub(MOST_EVENTS);
        span.events.truncate(MOST_EVENTS);
        span.dropped_events = u32::try_from(dropped).unwrap_or(u32::MAX);
        let Some(limit) = self.value_length_limit else { return };
        if let Some(message) = &mut span.message {
            text::truncate_chars(message, limit);
        }
        let of_events = span.events.iter_mut().flat_map(|event| &mut event.attributes);
        for (_, value) in span.attributes.iter_mut().chain(of_events) {
            if let Value::Str(text) = value {
                text::truncate_chars(text, limit);
            }
        }
    }
}
