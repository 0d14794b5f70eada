//! The spans that have come, by the paths that the program gave them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::spans::{Received, Value};

/// Client spans by case (`/case/NAME` in their URL), in the order of their starts, and server spans by path.
pub struct Found {
    pub calls: BTreeMap<String, Vec<Received>>,
    pub handled: BTreeMap<String, Vec<Received>>,
}

impl Found {
    pub fn new(mut spans: Vec<Received>) -> Result<Self> {
        let mut ids = BTreeSet::new();
        for span in &spans {
            ensure!(ids.insert(span.span.span_id.clone()), "a span came twice: {:?}", span.attributes);
        }
        spans.sort_by_key(|span| span.span.start_time_unix_nano);
        let mut found = Self { calls: BTreeMap::new(), handled: BTreeMap::new() };
        for span in spans {
            match span.span.kind() {
                SpanKind::Client => {
                    let url = text(&span, "url.full").context("a client span without a URL")?.to_owned();
                    let name = url.split_once("/case/").map_or(url.as_str(), |(_, rest)| rest);
                    let name = name.split(['?', '#', '/']).next().unwrap_or_default().to_owned();
                    found.calls.entry(name).or_default().push(span);
                }
                SpanKind::Server => {
                    let path = text(&span, "url.path").unwrap_or_default().to_owned();
                    found.handled.entry(path).or_default().push(span);
                }
                kind => anyhow::bail!("a span of kind {kind:?}"),
            }
        }
        Ok(found)
    }

    /// The call of a case.
    pub fn call(&self, name: &str) -> &[Received] {
        self.calls.get(name).map_or(&[], Vec::as_slice)
    }

    /// The span of a handler.
    pub fn handler(&self, name: &str) -> Option<&Received> {
        self.handled.get(&format!("/in/{name}")).and_then(|all| all.first())
    }
}

/// A string attribute.
pub fn text<'a>(span: &'a Received, name: &str) -> Option<&'a str> {
    match span.attributes.get(name) {
        Some(Value::Str(text)) => Some(text),
        _ => None,
    }
}
