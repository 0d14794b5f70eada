//! A Go program that writes to Apache Kafka and reads from it by segmentio/kafka-go, stripped, under the real agent. What its spans have to
//! look like is in `cases`.

mod cases;
mod links;
mod load;
mod nested;
mod partitions;
mod program;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::broker::{self, BEFORE_4, NEWEST};
use strobe_tests::golang::go;
use strobe_tests::stage::Stage;

use program::Program;

/// How long all cases may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Holds the program's spans against what is due.
fn writes_and_reads(built: &Path, broker: &str, has_links: bool) -> Result<()> {
    let broker = broker::start(broker)?;
    let mut stage = Stage::new(built, &[("KAFKA_BROKER", &broker.address)], &[])?;
    let spans = stage.run_for(cases::due_count(cases::OF_GROUP), LIMIT)?;
    let mut wrong = cases::compare(&spans, &broker.address, cases::OF_GROUP, has_links);
    let lost = losses(&stage.agent);
    if !lost.is_empty() {
        wrong.push(format!("lost: {lost:?}"));
    }
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), stage.agent.output());
    stage.stop()
}

macro_rules! versions {
    ($($name:ident: $go:expr, $kafka:literal, $broker:expr;)+) => { $(
        #[test]
        fn $name() -> Result<()> {
            // Before there was a `partitionWriter` nothing says where messages are written.
            writes_and_reads(&Program { go: $go, kafka: $kafka }.build()?, $broker, $kafka != "v0.4.10")
        }
    )+ };
}

versions! {
    go1_19_v0_4_10: go(19), "v0.4.10", BEFORE_4;
    go1_22_v0_4_38: go(22), "v0.4.38", BEFORE_4;
    go1_24_v0_4_51: go(24), "v0.4.51", NEWEST;
    go1_26_v0_4_10: go(26), "v0.4.10", BEFORE_4;
    go1_27_v0_4_51: go(27), "v0.4.51", NEWEST;
}

/// There `runtime.deferreturn` calls what `WriteMessages` defers, which does not see its results then, and cases of a `select` are addressed in
/// another way: there are no spans, rather than wrong ones.
#[test]
fn a_build_without_optimisations_has_no_spans() -> Result<()> {
    let built =
        Program { go: go(26), kafka: "v0.4.51" }.build_with(&["-ldflags=-s -w", "-gcflags=all=-N -l"])?;
    let mut analyze = std::process::Command::new(strobe_tests::programs::path("analyze")?);
    let out = analyze.args(["--explain", "github.com/segmentio/kafka-go"]).arg(&built).output()?;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    for why in ["does not make its deferred calls itself", "select's cases cannot be told"] {
        ensure!(said.contains(why), "{said}");
    }
    let broker = broker::start(NEWEST)?;
    let mut stage = Stage::new(&built, &[("KAFKA_BROKER", &broker.address)], &[])?;
    let spans = stage.run_for(1, LIMIT)?;
    ensure!(!spans.is_empty() && spans.iter().all(|span| span.scope != cases::SCOPE), "{spans:?}");
    let lost = losses(&stage.agent);
    ensure!(lost.is_empty(), "lost: {lost:?}");
    stage.stop()
}

/// What is written when the process ends has no span, and is counted; a reader that waits loses nothing.
#[test]
fn what_is_open_at_the_end_is_counted() -> Result<()> {
    let built = Program { go: go(26), kafka: "v0.4.51" }.build()?;
    let broker = broker::start(NEWEST)?;
    let own = [("KAFKA_BROKER", broker.address.as_str()), ("KAFKA_OPEN", "1")];
    let mut stage = Stage::new(&built, &own, &[])?;
    stage.begin(LIMIT)?;
    stage.stop()?;
    let status = stage.agent.wait(LIMIT)?;
    ensure!(status.success(), "strobe ended with {status}:\n{}", stage.agent.output());
    let lost = losses(&stage.agent);
    ensure!(lost == [("kafka_go.lost.open_at_exit".to_owned(), 10)].into(), "lost: {lost:?}");
    let spans = stage.collector.take()?;
    ensure!(spans.iter().all(|span| span.scope != cases::SCOPE), "{spans:?}");
    Ok(())
}

/// The library has a switch of its own.
#[test]
fn kafka_can_be_switched_off() -> Result<()> {
    let built = Program { go: go(26), kafka: "v0.4.51" }.build()?;
    let broker = broker::start(NEWEST)?;
    let off = [("OTEL_GO_AUTO_TRACES_GITHUB_COM_SEGMENTIO_KAFKA_GO_INSTRUMENTATION_ENABLED", "false")];
    let mut stage = Stage::new(&built, &[("KAFKA_BROKER", &broker.address)], &off)?;
    let spans = stage.run_for(1, LIMIT)?;
    ensure!(!spans.is_empty() && spans.iter().all(|span| span.scope != cases::SCOPE), "{spans:?}");
    stage.stop()
}
