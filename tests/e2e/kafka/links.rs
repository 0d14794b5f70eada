//! What is received is linked to what sent it, though no message says so: through batches of 1, 10, 100 and 1,000, sync and async, with several
//! calls in one batch and several batches of one call, attempts that fail, and another broker with the same topics and offsets. The program
//! itself looks whether each message arrives as it was written.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::agent::losses;
use strobe_tests::broker::{self, BEFORE_4, NEWEST};
use strobe_tests::golang::go;
use strobe_tests::spans::{Received, Value};
use strobe_tests::stage::Stage;

use super::cases::{SCOPE, hex, links_of};
use super::program::Program;

/// Batches' size, whether calls do not wait, whether it is the other broker, and how many calls: as `tests/apps/kafkago/links.go` has them.
const WAYS: &[(usize, bool, bool, usize)] = &[
    (1, false, false, 40),
    (10, false, false, 40),
    (100, false, false, 20),
    (1000, false, false, 4),
    (1, true, false, 40),
    (10, true, false, 40),
    (100, true, false, 20),
    (1000, true, false, 4),
    (1, false, true, 40),
    (100, true, true, 20),
];

fn messages_of(size: usize, call: usize) -> usize {
    call * 37 % (2 * size) + 1
}

const LIMIT: Duration = Duration::from_secs(120);

fn text<'a>(span: &'a Received, key: &str) -> Option<&'a str> {
    match span.attributes.get(key) {
        Some(Value::Str(text)) => Some(text),
        _ => None,
    }
}

/// Runs the program; `sampler` is the agent's. How many messages were received, and how many have a link.
fn linked(built: &Path, broker: &str, sampler: &[(&str, &str)]) -> Result<[usize; 2]> {
    let (here, there) = (broker::start(broker)?, broker::start(broker)?);
    let own = [("KAFKA_BROKER", here.address.as_str()), ("KAFKA_OTHER", there.address.as_str())];
    let mut stage = Stage::new(built, &own, sampler)?;
    let calls: usize = WAYS.iter().map(|(_, _, _, calls)| calls).sum();
    let messages: usize =
        WAYS.iter().flat_map(|(size, _, _, calls)| (0..*calls).map(|call| messages_of(*size, call))).sum();
    let due = if sampler.is_empty() { 3 * calls + messages + 1 } else { messages / 3 };
    let spans = stage.run_for(due, LIMIT)?;
    let lost = losses(&stage.agent);
    ensure!(lost.is_empty(), "lost: {lost:?}\n{}", stage.agent.output());
    let served = spans.iter().filter(|span| span.span.kind() == SpanKind::Server);
    let requests: BTreeMap<&[u8], &str> =
        served.filter_map(|span| Some((span.span.span_id.as_slice(), text(span, "url.path")?))).collect();
    let of_library = || spans.iter().filter(|span| span.scope == SCOPE);
    // The call of each request, by what a message's key has of it.
    let mut sent = BTreeMap::new();
    for span in of_library().filter(|span| span.span.name.starts_with("send ")) {
        let path =
            requests.get(span.span.parent_span_id.as_slice()).and_then(|path| path.strip_prefix("/link/"));
        let call = path.with_context(|| format!("a call that is below no request: {span:?}"))?;
        ensure!(sent.insert(call, span).is_none(), "{call} has two spans");
    }
    let (mut received, mut with_link) = (0, 0);
    for span in of_library().filter(|span| span.span.name.starts_with("poll ")) {
        let key = text(span, "kafka.message.key").context("no key")?;
        let (call, _) = key.rsplit_once('/').context("another key")?;
        // Of a call that is not recorded there is no span to be linked to.
        let due = sent.get(call).map(|sent| (hex(&sent.span.trace_id), hex(&sent.span.span_id), 0x301));
        received += 1;
        with_link += usize::from(due.is_some());
        ensure!(
            links_of(span) == Vec::from_iter(due.clone()),
            "{key}: {due:?} is due, got {:?}\n{}",
            links_of(span),
            stage.agent.output()
        );
    }
    println!(
        "{} of {calls} calls, {received} of {messages} messages received, {with_link} linked",
        sent.len()
    );
    stage.stop()?;
    if sampler.is_empty() {
        ensure!((sent.len(), received, with_link) == (calls, messages, messages));
    }
    Ok([received, with_link])
}

#[test]
fn what_is_received_is_linked_to_what_sent_it() -> Result<()> {
    linked(&Program { go: go(26), kafka: "v0.4.51" }.build()?, NEWEST, &[])?;
    linked(&Program { go: go(22), kafka: "v0.4.38" }.build()?, BEFORE_4, &[])?;
    Ok(())
}

/// What calls that are not recorded have written is between what others have.
#[test]
fn what_is_not_recorded_is_not_linked_to() -> Result<()> {
    let half = [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")];
    let [received, with_link] = linked(&Program { go: go(26), kafka: "v0.4.51" }.build()?, NEWEST, &half)?;
    ensure!(0 < with_link && with_link < received, "{with_link} of {received} are linked");
    Ok(())
}
