//! Spans as they should have come.

use std::collections::BTreeMap;
use std::fmt;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::received::Value;

/// What an attribute should be.
#[derive(Debug, Clone)]
pub enum Want {
    /// This value.
    Is(Value),
    /// This string, or at least so many bytes of its head.
    HeadOf(String, usize),
    /// Present.
    Any,
}

impl Want {
    pub(super) fn matches(&self, got: &Value) -> bool {
        match (self, got) {
            (Want::Is(want), got) => want == got,
            (Want::HeadOf(full, least), Value::Str(got)) => full.starts_with(got) && got.len() >= *least,
            (Want::HeadOf(..), _) => false,
            (Want::Any, _) => true,
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Want::Is(v) => write!(f, "{v}"),
            Want::HeadOf(s, least) => write!(f, "at least {least} bytes of {s:?}"),
            Want::Any => f.write_str("anything"),
        }
    }
}

/// Where a span hangs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    /// It begins a trace.
    None,
    /// A span of another process, which the test invented: trace id and span id in hex.
    Remote(String, String),
    /// The span it is a child of in the expected tree.
    Above,
}

/// A span that should have come, with the children it should have.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Pairs it with a received span: see [`super::key`].
    pub key: String,
    /// Span name.
    pub name: String,
    /// Span kind.
    pub kind: SpanKind,
    /// Whether its status is Error; else it is Unset.
    pub error: bool,
    /// Its parent.
    pub parent: Parent,
    /// OTLP flags.
    pub flags: u32,
    /// Exactly these attributes.
    pub attributes: BTreeMap<String, Want>,
    /// Spans below it.
    pub children: Vec<Expected>,
}
