//! `autosdk`, and `nonrecording`, which makes the same by the provider of a span that records nothing: three spans made by hand, with all that they are given, to the nanosecond.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use strobe_tests::samples::{Ran, span};
use strobe_tests::spans::{Expected, Parent, Value, Want};

use super::{build, later};

const SOURCE: &str = include_str!("../../apps/otel_autosdk/main.go");
const SCOPE: &str = "strobe.test/otel_autosdk";
const VERSION: &str = "v1.23.42 https://some_schema";
const MODULES: &[(&str, &str)] = &[
    ("go.opentelemetry.io/auto/sdk", "v1.2.1"),
    ("go.opentelemetry.io/otel", "v1.38.0"),
    ("go.opentelemetry.io/otel/trace", "v1.38.0"),
];
/// The first moment of the year 2000, as the program has it.
const Y2K: u64 = 946_684_800_000_000_000;
const SECOND: u64 = 1_000_000_000;
/// Begins and ends, after that.
const TIMES: [(&str, u64, u64); 3] =
    [("main", 0, 5 * SECOND), ("sig", 10_000, 110_000), ("Run", 500_000, SECOND)];

fn due() -> Expected {
    let below = |span| Expected { parent: Parent::Above, ..span };
    let mut run = below(span(SpanKind::Server, "Run", &[("user", "Alice")], &[]));
    run.attributes.insert("admin".to_owned(), Want::Is(Value::Other("true".to_owned())));
    let sig = below(span(SpanKind::Internal, "sig", &[], &[]));
    Expected { error: true, children: vec![sig, run], ..span(SpanKind::Internal, "main", &[], &[]) }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.as_str(), text(attribute))).collect()
}

#[test]
fn autosdk() -> Result<()> {
    is_there(&[])
}

#[test]
fn nonrecording() -> Result<()> {
    is_there(&["nonrecording"])
}

fn is_there(arguments: &[&str]) -> Result<()> {
    let ran = Ran::with(&build(SOURCE, MODULES)?, arguments, &[], &[])?;
    ran.are(&[due()], &[SCOPE])?;
    ensure!(ran.spans.iter().all(|span| span.scope_version == VERSION), "{:?}", ran.spans);
    for (name, begin, end) in TIMES {
        let span = find(&ran, name)?;
        let got = (span.start_time_unix_nano, span.end_time_unix_nano);
        ensure!(got == (Y2K + begin, Y2K + end), "{span:?}");
    }
    of_main(find(&ran, "main")?)?;
    links(find(&ran, "Run")?, find(&ran, "sig")?)?;
    let sig = find(&ran, "sig")?;
    ensure!(sig.events.is_empty() && sig.links.is_empty() && sig.status.is_none(), "{sig:?}");
    Ok(())
}

fn find<'a>(ran: &'a Ran, name: &str) -> Result<&'a Span> {
    let kind = if name == "Run" { SpanKind::Server } else { SpanKind::Internal };
    Ok(&ran.only(kind, name)?.span)
}

/// It has failed, and says how.
fn of_main(span: &Span) -> Result<()> {
    let message = span.status.as_ref().map(|status| status.message.as_str());
    ensure!(message == Some("application error"), "{span:?}");
    let [event] = span.events.as_slice() else { anyhow::bail!("not one event: {span:?}") };
    ensure!(event.name == "exception" && event.time_unix_nano == Y2K + 2 * SECOND, "{event:?}");
    let mut got = texts(&event.attributes);
    let stack = got.remove("exception.stacktrace").unwrap_or_default();
    ensure!(stack.starts_with("goroutine ") && stack.contains("\nmain.main()\n"), "{stack}");
    let due = [("exception.type", "*errors.errorString"), ("exception.message", "broken"), ("impact", "11")];
    ensure!(got == due.map(|(key, value)| (key, value.to_owned())).into(), "{got:?}");
    Ok(())
}

/// A link to `sig`, and one to a span of elsewhere.
fn links(run: &Span, sig: &Span) -> Result<()> {
    let mut due = Vec::new();
    if later::IDENTITIES_IN_THE_PROGRAM {
        due.push((sig.trace_id.clone(), sig.span_id.clone(), "Hello World"));
    }
    let (mut trace, mut span) = (vec![0; 16], vec![0; 8]);
    (trace[15], span[7]) = (1, 2);
    due.push((trace, span, "Hello elsewhere"));
    let all = run.links.iter().all(|link| texts(&link.attributes).keys().eq(["data"].iter()));
    let got: Vec<_> = run
        .links
        .iter()
        .map(|link| (link.trace_id.clone(), link.span_id.clone(), texts(&link.attributes)))
        .collect();
    let is_due = got.len() == due.len()
        && got.iter().zip(&due).all(|((trace, span, attributes), (due_trace, due_span, data))| {
            trace == due_trace && span == due_span && attributes["data"] == *data
        });
    ensure!(all && is_due, "{due:?} are due: {got:?}");
    // What has no identity is not shown, and counted.
    ensure!(run.dropped_links_count == 2 - due.len() as u32, "{run:?}");
    Ok(())
}
