//! Spans as they were received.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;

/// Attributes by name.
pub type Attributes = BTreeMap<String, Value>;

/// An attribute's value, of the types that the conventions use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Str(String),
    /// An integer.
    Int(i64),
    /// Anything else: `true`, `0.25`, `["a" "b"]`.
    Other(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Str(s) => write!(f, "{s:?}"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Other(o) => write!(f, "({o})"),
        }
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::Str(s.to_owned())
    }
}

impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Value::Int(i)
    }
}

/// A span with what it was sent under.
#[derive(Debug, Clone)]
pub struct Received {
    /// The resource's attributes.
    pub resource: Attributes,
    /// Name of the instrumentation scope.
    pub scope: String,
    /// Its version, a space, and the schema of its spans.
    pub scope_version: String,
    /// The span's attributes.
    pub attributes: Attributes,
    /// The rest of it.
    pub span: Span,
}

impl Received {
    /// What pairs a received span with an expected one: see [`key`].
    pub fn key(&self) -> String {
        key(&self.attributes)
    }
}

/// A span's `trace_state` stands among its attributes under this name, which is none of them: whoever does not expect it finds it.
pub const TRACE_STATE: &str = "(trace_state)";

/// The identity that the tests give to a request: the user agent where it is theirs (`t/…`), else path and query.
pub fn key(attributes: &Attributes) -> String {
    let text = |name| match attributes.get(name) {
        Some(Value::Str(s)) => s.as_str(),
        _ => "",
    };
    match text("user_agent.original") {
        agent if agent.starts_with("t/") => agent.to_owned(),
        _ => format!("{}?{}", text("url.path"), text("url.query")),
    }
}

/// Unpacks a request, refusing what OTLP forbids.
pub fn received(request: ExportTraceServiceRequest) -> Result<Vec<Received>> {
    let mut all = Vec::new();
    for rs in request.resource_spans {
        let resource = attributes(rs.resource.context("ResourceSpans without a resource")?.attributes)?;
        for ss in rs.scope_spans {
            let scope = ss.scope.context("ScopeSpans without a scope")?;
            let version = format!("{} {}", scope.version, ss.schema_url);
            for mut span in ss.spans {
                check(&span).with_context(|| format!("span {:?}", span.name))?;
                let mut attributes = attributes(std::mem::take(&mut span.attributes))?;
                if !span.trace_state.is_empty() {
                    attributes.insert(TRACE_STATE.to_owned(), span.trace_state.as_str().into());
                }
                all.push(Received {
                    resource: resource.clone(),
                    scope: scope.name.clone(),
                    scope_version: version.clone(),
                    attributes,
                    span,
                });
            }
        }
    }
    Ok(all)
}

fn check(span: &Span) -> Result<()> {
    let id = |id: &[u8], size| id.len() == size && id.iter().any(|b| *b != 0);
    if !id(&span.trace_id, 16) || !id(&span.span_id, 8) {
        bail!("trace id {} or span id {} is invalid", hex(&span.trace_id), hex(&span.span_id));
    }
    if !span.parent_span_id.is_empty() && !id(&span.parent_span_id, 8) {
        bail!("parent span id {}", hex(&span.parent_span_id));
    }
    if span.start_time_unix_nano == 0 || span.end_time_unix_nano < span.start_time_unix_nano {
        bail!("times {} to {}", span.start_time_unix_nano, span.end_time_unix_nano);
    }
    Ok(())
}

fn attributes(list: Vec<KeyValue>) -> Result<Attributes> {
    let mut map = Attributes::new();
    for KeyValue { key, value, .. } in list {
        if map.insert(key.clone(), of(value)).is_some() {
            bail!("attribute {key:?} occurs twice");
        }
    }
    Ok(map)
}

fn of(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(s)) => Value::Str(s),
        Some(any_value::Value::IntValue(i)) => Value::Int(i),
        Some(any_value::Value::BoolValue(b)) => Value::Other(b.to_string()),
        Some(any_value::Value::DoubleValue(d)) => Value::Other(format!("{d:?}")),
        Some(any_value::Value::ArrayValue(array)) => {
            let each: Vec<String> =
                array.values.into_iter().map(|value| of(Some(value)).to_string()).collect();
            Value::Other(format!("[{}]", each.join(" ")))
        }
        other => Value::Other(format!("{other:?}")),
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
