//! A program that writes to a Kafka broker and reads from it. The broker is one in Go: a JVM would take minutes to start here.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use strobe_tests::{
    agent::losses,
    kafka::cases,
    process::Running,
    stage::{go, listening},
};

use crate::bench::{Bench, PATIENCE, ended, left};

/// The program that is the broker.
const BROKER: &str = "/apps/kafkabroker";

/// Messages that the group reads, each with a span, and a commit that has one, too: enough to see that they are told apart.
const OF_GROUP: usize = 20;

/// Every kind of operation, with its parent and its links.
pub fn operations(version: &str) -> Result<String> {
    let bench = Bench::of("kafkago", version)?;
    let broker = Running::start(&mut Command::new(BROKER))?;
    let line = broker.stdout.wait_for("listening on ", 0, PATIENCE);
    let line = line.with_context(|| format!("the broker never listened:\n{}", broker.output()))?;
    let broker = line.trim_start_matches("listening on ");
    let mut app = Running::start(
        Command::new(&bench.app).env("KAFKA_BROKER", broker).env("KAFKA_OF_GROUP", OF_GROUP.to_string()),
    )?;
    let address = listening(&app)?;
    let mut agent = bench.trace_pid(&app)?;
    go(&app, address, PATIENCE)?;
    bench.collector.wait_for(cases::due_count(OF_GROUP), PATIENCE);
    left(&mut agent)?;
    let spans = bench.collector.take()?;
    let mut wrong = cases::compare(&spans, broker, OF_GROUP, true);
    let lost = losses(&agent);
    if !lost.is_empty() {
        wrong.push(format!("lost: {lost:?}"));
    }
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), agent.output());
    ended(&mut app)?;
    let operations = spans.iter().filter(|span| span.scope == cases::SCOPE).count();
    Ok(format!("{operations} operations"))
}
