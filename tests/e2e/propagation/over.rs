//! Requests over connections on which another request was sent before, and is over (`tests/apps/over`): whoever has sent it is not their
//! parent. And calls while descriptors' numbers are used again, and of a goroutine that calls rarely.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::golang::{self, Build, go};
use strobe_tests::samples::Ran;
use strobe_tests::spans::{Received, Value};

/// Of each kind of request that nobody's span has sent, and of the calls that a goroutine makes late.
const EACH: usize = 5;

fn path(span: &Received) -> &str {
    let name = if span.span.kind() == SpanKind::Client { "url.full" } else { "url.path" };
    let Some(Value::Str(text)) = span.attributes.get(name) else { return "" };
    ["/call/", "/nobody/"].iter().find_map(|part| text.find(part)).and_then(|at| text.get(at..)).unwrap_or("")
}

fn nobodys_are_nobodys(version: &str) -> Result<()> {
    let built = golang::build("over", version, Build::Stripped)?;
    let ran = Ran::of(&built, &[], &[("OTEL_BSP_MAX_QUEUE_SIZE", "262144")])?;
    let of_kind = |kind: SpanKind| ran.spans.iter().filter(move |span| span.span.kind() == kind);
    let calls: HashMap<&str, &Received> = of_kind(SpanKind::Client).map(|span| (path(span), span)).collect();
    let (mut nobodys, mut late, mut wrong) = (0, 0, Vec::new());
    for served in of_kind(SpanKind::Server) {
        let (path, parent) = (path(served), &served.span.parent_span_id);
        let is_callers = calls
            .get(path)
            .is_some_and(|call| call.span.span_id == *parent && call.span.trace_id == served.span.trace_id);
        if path.starts_with("/nobody/") {
            nobodys += 1;
            wrong.extend((!parent.is_empty()).then_some(path));
        } else if path.starts_with("/call/") {
            late += usize::from(path.starts_with("/call/rarely-") && is_callers);
            // One whose connection was being closed when it was asked for may have none.
            wrong.extend((!is_callers && !parent.is_empty()).then_some(path));
        }
    }
    ensure!(wrong.is_empty(), "below another's: {wrong:?}");
    ensure!(
        nobodys == 3 * EACH && late == EACH + 1,
        "{nobodys} of nobody, {late} late ones below their calls"
    );
    Ok(())
}

#[test]
fn what_is_over_is_nobodys_parent_go1_22() -> Result<()> {
    nobodys_are_nobodys(go(22))
}

#[test]
fn what_is_over_is_nobodys_parent_go1_27() -> Result<()> {
    nobodys_are_nobodys(go(27))
}
