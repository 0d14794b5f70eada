//! Many operations at once: 64 requests write, one to three messages each, while 16 goroutines read them. Each call is below its own request
//! and has as many messages as that one says; each message is read once.
//!
//! 600 calls; `STROBE_KAFKA` says how many else, and `scripts/test --full` makes 34,000, which are 102,000 operations. Then no more than one in
//! 10,000 may be missing, and each is counted.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use analyzer::plan::{Code, Cost, Finding, Verdict};
use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::agent::losses;
use strobe_tests::broker::{self, Broker, NEWEST};
use strobe_tests::golang::go;
use strobe_tests::spans::{Received, Value};
use strobe_tests::stage::Stage;

use super::cases::SCOPE;
use super::program::Program;

const CALLS: usize = 600;
/// For each of them: far more than the slowest machine needs.
const PATIENCE_EACH: Duration = Duration::from_millis(20);

/// Messages of a call.
fn messages_of(call: usize) -> usize {
    call % 3 + 1
}

fn text<'a>(span: &'a Received, key: &str) -> Option<&'a str> {
    match span.attributes.get(key) {
        Some(Value::Str(text)) => Some(text),
        _ => None,
    }
}

/// `is_read`: whether the build has spans of what it receives.
fn exact(built: &Path, broker: &Broker, is_read: bool) -> Result<()> {
    let wanted = std::env::var("STROBE_KAFKA").ok().and_then(|text| text.parse().ok());
    let calls: usize = wanted.unwrap_or(CALLS);
    let messages_of_spans = |call| if is_read { messages_of(call) } else { 0 };
    let messages: usize = (0..calls).map(messages_of_spans).sum();
    let own = [("KAFKA_BROKER", broker.address.as_str()), ("KAFKA_OPERATIONS", &calls.to_string())];
    let mut stage = Stage::new(built, &own, &[])?;
    let limit = Duration::from_secs(60) + PATIENCE_EACH * u32::try_from(calls)?;
    // A request, the call that makes it, what it writes, and its messages; and the request to begin.
    let spans = stage.run_for(3 * calls + messages + 1, limit)?;
    let lost = losses(&stage.agent);
    let served = spans.iter().filter(|span| span.span.kind() == SpanKind::Server);
    let requests: BTreeMap<&[u8], &str> =
        served.filter_map(|span| Some((span.span.span_id.as_slice(), text(span, "url.path")?))).collect();
    let (mut sent, mut read) = (vec![0; calls], vec![0; calls]);
    for span in spans.iter().filter(|span| span.scope == SCOPE) {
        if span.span.name == "send load" {
            let below = requests.get(span.span.parent_span_id.as_slice());
            let call = below.and_then(|path| path.strip_prefix("/write/")?.parse().ok());
            let Some(call) = call else {
                ensure!(!lost.is_empty(), "a call that is below no request: {span:?}");
                continue;
            };
            let due = Value::Int(messages_of(call) as i64);
            let count = span.attributes.get("messaging.batch.message_count");
            ensure!(count == Some(&due), "call {call}: {due:?} is due, got {count:?}");
            // Of several messages there is no key.
            let key = Some(call.to_string()).filter(|_| messages_of(call) == 1);
            let got = text(span, "kafka.message.key");
            ensure!(got == key.as_deref(), "call {call}: {key:?} is due, got {got:?}");
            *sent.get_mut(call).context("an unknown call")? += 1;
        } else {
            ensure!(span.span.name == "poll load" && span.span.parent_span_id.is_empty(), "{span:?}");
            let call: usize = text(span, "kafka.message.key").context("no key")?.parse()?;
            *read.get_mut(call).context("an unknown call")? += 1;
        }
    }
    let missing = (0..calls).map(|call| {
        let (sent, read) = (sent.get(call).copied().unwrap_or(0), read.get(call).copied().unwrap_or(0));
        let due = messages_of_spans(call);
        ensure!(sent <= 1 && read <= due, "call {call}: {sent} spans, {read} of messages");
        Ok(1 - sent + due - read)
    });
    let missing: usize = missing.sum::<Result<usize>>()?;
    println!("{calls} calls, {messages} messages, {missing} missing, lost {lost:?}");
    if wanted.is_none() {
        ensure!(missing == 0 && lost.is_empty(), "{missing} missing, {lost:?}\n{}", stage.agent.output());
    }
    ensure!(missing <= (calls + messages) / 10_000, "{missing} missing\n{}", stage.agent.output());
    ensure!(lost.values().sum::<u64>() >= missing as u64, "{missing} missing, counted {lost:?}");
    stage.stop()
}

#[test]
fn many_at_once_are_each_their_own() -> Result<()> {
    exact(&Program { go: go(26), kafka: "v0.4.51" }.build()?, &broker::start(NEWEST)?, true)
}

/// The program is built with the profile of its own load, and is as ready as before, but for what it receives where the profile has had
/// `FetchMessage` copied into the program's own loop, which is said: of Go 1.26, and with `STROBE_MATRIX=full` also of 1.24 and
/// 1.27.
#[test]
fn a_profile_changes_nothing() -> Result<()> {
    let is_full = std::env::var("STROBE_MATRIX").is_ok_and(|text| text == "full");
    for minor in if is_full { &[24, 26, 27][..] } else { &[26] } {
        let broker = broker::start(NEWEST)?;
        let guided = Program { go: go(*minor), kafka: "v0.4.51" }.build_guided(&broker.address)?;
        let plan = analyzer::plan_file(&guided, &analyzer::Options::default(), &[])?;
        let mut libraries = plan.libraries.into_iter();
        let library = libraries.find(|l| l.id == "github.com/segmentio/kafka-go").context("kafka-go")?;
        let mut sites = library.functions.iter().flat_map(|function| &function.sites);
        ensure!(sites.all(|site| site.cost == Cost::Emulated), "Go 1.{minor}: {:?}", library.functions);
        let is_copied = |finding: &Finding| {
            finding.code == Code::Inlined
                && finding.subject == "github.com/segmentio/kafka-go.(*Reader).FetchMessage"
        };
        let is_read = library.verdict == Verdict::Ready;
        let is_said = library.verdict == Verdict::Partial && library.findings.iter().all(is_copied);
        ensure!(is_read || is_said, "Go 1.{minor}: {:?}", library.reason);
        exact(&guided, &broker::start(NEWEST)?, is_read).with_context(|| format!("Go 1.{minor}"))?;
        if is_read {
            super::writes_and_reads(&guided, NEWEST, true)?;
        }
    }
    Ok(())
}
