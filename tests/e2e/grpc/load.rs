//! Many RPCs at once, each of which makes another: 64 callers on as many channels. Each caller makes up a trace for every RPC, so that
//! the spans have to be exactly that forest.
//!
//! 1,000 RPCs and as many below them, which are 4,000 spans. `STROBE_FOREST` says how many else.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::agent::losses;
use strobe_tests::golang::go;
use strobe_tests::spans::{Received, hex};

use super::compare::{Found, text};
use super::program::Program;
use super::stage::Stage;

/// RPCs that callers make, unless it is said how many.
const CALLS: usize = 1_000;
/// The first of their traces' numbers.
const FIRST: usize = 0x0100_0000;
/// Differences that are shown.
const SHOWN: usize = 20;

fn exact(program: Program) -> Result<()> {
    let wanted = std::env::var("STROBE_FOREST").ok().and_then(|text| text.parse().ok());
    let calls: usize = wanted.unwrap_or(CALLS);
    let count = calls.to_string();
    let mut stage = Stage::new(&program.build()?, &[("LOAD", &count)], &[])?;
    let limit = Duration::from_secs(30) + Duration::from_millis(5) * u32::try_from(calls)?;
    let spans = stage.run(4 * calls + 1, limit)?;
    let found = Found::new(spans);
    let (missing, wrong) = differing(&found, calls);
    let lost: u64 = losses(&stage.agent).values().sum();
    println!("{} spans due: {missing} missing, {} wrong, {lost} counted as lost", 4 * calls, wrong.len());
    let first = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    ensure!(wrong.is_empty(), "{} differ:\n{first}\n{}", wrong.len(), stage.agent.output());
    let allowed = if wanted.is_some() { 4 * calls / 10_000 } else { 0 };
    ensure!(missing <= allowed, "{missing} are missing\n{}", stage.agent.output());
    ensure!(lost >= missing as u64, "{missing} are missing, {lost} are counted\n{}", stage.agent.output());
    stage.stop()
}

/// How many are missing, and what is wrong with those that are there.
fn differing(found: &Found, calls: usize) -> (usize, Vec<String>) {
    const OUTER: &str = "strobe.Test/load";
    const BELOW: &str = "strobe.Test/load-below";
    let mut wrong = Vec::new();
    let of = |kind, method| found.of(kind, method);
    let all = [
        of(SpanKind::Client, OUTER),
        of(SpanKind::Server, OUTER),
        of(SpanKind::Client, BELOW),
        of(SpanKind::Server, BELOW),
    ];
    for span in all.iter().flat_map(|spans| spans.iter()) {
        if text(span, "rpc.status_code") != "OK" || text(span, "server.address") != "127.0.0.1" {
            wrong.push(format!("{:?}", span.attributes));
        }
    }
    for call in all[0].iter().filter(|call| !call.span.parent_span_id.is_empty()) {
        wrong.push(format!("a caller's RPC has a parent: {:?}", call.span));
    }
    let [outer, calls_below, below] = [all[1], all[2], all[3]].map(|spans| by_trace(spans, &mut wrong));
    let mut there = all[0].len();
    for number in FIRST..FIRST + calls {
        let trace = format!("{number:032x}");
        let remote = |digit: char| format!("{digit}{}", &trace[17..]);
        for (spans, digit) in [(&outer, 'a'), (&below, 'b')] {
            let Some(span) = spans.get(&trace) else { continue };
            there += 1;
            if hex(&span.span.parent_span_id) != remote(digit) {
                wrong.push(format!("{trace}: {digit}: {:?}", span.span));
            }
        }
        if let Some(call) = calls_below.get(&trace) {
            there += 1;
            if outer.get(&trace).is_some_and(|above| above.span.span_id != call.span.parent_span_id) {
                wrong.push(format!("{trace}: the RPC below it is another's: {:?}", call.span));
            }
        }
    }
    (4 * calls - there.min(4 * calls), wrong)
}

/// The spans by their traces, of which each has one.
fn by_trace<'a>(spans: &'a [Received], wrong: &mut Vec<String>) -> HashMap<String, &'a Received> {
    let mut all = HashMap::new();
    for span in spans {
        let trace = hex(&span.span.trace_id);
        if all.insert(trace.clone(), span).is_some() {
            wrong.push(format!("{trace} is there twice"));
        }
    }
    all
}

#[test]
fn load_go1_22_v1_40() -> Result<()> {
    exact(Program { go: go(22), grpc: "v1.40.0" })
}

#[test]
fn load_go1_27_v1_85() -> Result<()> {
    exact(Program { go: go(27), grpc: "v1.85.0" })
}
