//! The W3C's cases of `traceparent` and `tracestate` as metadata of gRPC: what is read of them is what an HTTP server's request says.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::golang::go;
use strobe_tests::h2::Connection;
use strobe_tests::spans::{Received, TRACE_STATE, Value, hex};
use strobe_tests::trace_context::{Case, cases};

use super::compare::text;
use super::program::Program;
use super::stage::Stage;

/// As over HTTP/2: a value has no blanks around it, and gRPC refuses what is not ASCII.
fn is_sayable(case: &Case) -> bool {
    case.headers.iter().all(|(_, value)| value.trim() == value && value.is_ascii())
}

#[test]
fn metadata_is_read_as_the_standard_has_it() -> Result<()> {
    let cases: Vec<Case> = cases()?.into_iter().filter(is_sayable).collect();
    let mut stage = Stage::new(&Program { go: go(26), grpc: "v1.85.0" }.build()?, &[], &[])?;
    let mut connection = Connection::open(stage.places.plain)?;
    for (number, case) in cases.iter().enumerate() {
        let fixed = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", &format!("/strobe.Test/case-{number}")),
            (":authority", "cases"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        let mut fields = fixed.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        fields.extend(case.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())));
        // A message of no bytes.
        let stream = connection.send(&fields, &[0; 5])?;
        connection.receive(stream).with_context(|| format!("{case:?}"))?;
    }
    let spans: BTreeMap<String, Received> = stage
        .ended(cases.len())?
        .into_iter()
        .map(|span| (text(&span, "rpc.method_original").to_owned(), span))
        .collect();
    for (number, case) in cases.iter().enumerate() {
        let span = spans.get(&format!("/strobe.Test/case-{number}")).with_context(|| format!("{case:?}"))?;
        let got = (hex(&span.span.trace_id), hex(&span.span.parent_span_id));
        let is_right = match case.remote() {
            Some((trace, parent, _)) => got == (trace.to_owned(), parent.to_owned()),
            None => got.1.is_empty() && case.headers.iter().all(|(_, value)| !value.contains(&got.0)),
        };
        ensure!(is_right, "{case:?}: {got:?}");
        let list = span.attributes.get(TRACE_STATE);
        let wanted = Some(Value::from(case.list.as_str())).filter(|_| !case.list.is_empty());
        ensure!(list == wanted.as_ref(), "{case:?}: {list:?}");
    }
    stage.stop()
}
