//! Many messages over one way to carry them, under an agent that writes the trace context into them (`tests/apps/messages`): what arrives is what
//! was sent, and at most the context.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::{
    http_client::carried::shown,
    process::Running,
    spans::{Received, Value, hex},
    stage::{go, listening},
};

use crate::bench::{Bench, PATIENCE, ended, left_without_loss, tracing};
use crate::boot::said;
use crate::chain::{NO_ROOM, OWN, WRITTEN, counted_by};
use crate::features::writes_from_probes;
use crate::own_tests::stay_alive;

/// How long the slowest machine may need for all of them: less than the case's own limit, which would not say what it printed.
const LONGEST: Duration = Duration::from_secs(7_000);

/// The attributes that have a message's path.
const NAMES: [&str; 3] = ["url.full", "rpc.method_original", "rpc.method"];
/// How many that are wrong are shown.
const SHOWN: usize = 10;

/// All arrive as they were sent.
pub fn arrive(way: &str) -> Result<String> {
    let bench = Bench::of("messages", "1.27")?;
    let number = |name: &str| said(name)?.parse::<u64>().with_context(|| format!("the number of {name}"));
    let (messages, before) = (number("strobe_messages=")?, number("strobe_messages_before=")?);
    let mut command = Command::new(&bench.app);
    command.arg(way).env("MESSAGES", messages.to_string()).env("BEFORE", before.to_string());
    let mut app = Running::start(&mut command)?;
    let address = listening(&app)?;
    let mut command = bench.strobe(&["run", "--pid", &app.pid().to_string()]);
    // One in a hundred is recorded: the others' contexts travel, too.
    command
        .env("OTEL_LOG_LEVEL", "debug")
        .env("STROBE_PROPAGATION", "write")
        .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
        .env("OTEL_TRACES_SAMPLER_ARG", "0.01");
    let mut agent = Running::start(&mut command)?;
    tracing(&agent, 0)?;
    stay_alive();
    go(&app, address, LONGEST)?;
    let log = left_without_loss(&mut agent)?;
    let recorded = bench.collector.take()?;
    let lines = app.stdout.all();
    let wrong = others(&lines, &recorded);
    ensure!(
        wrong.is_empty(),
        "{} name other spans:\n{}",
        wrong.len(),
        wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n")
    );
    let line = app.stdout.wait_for("done ", 0, PATIENCE).context("what it counted")?;
    let numbers: Vec<u64> = line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    let [sent, carried, own, none, wrong] = numbers.as_slice() else { anyhow::bail!("{line}") };
    ensure!(*sent == messages && *wrong == 0, "{}\n{}", app.stdout.text(), shown(&log));
    // Over HTTP/1.x there is always room, and elsewhere mostly.
    let is_room = if way == "h1" { *none == 0 } else { none < carried } || !writes_from_probes();
    let with_own = (before + messages) / 8 - before / 8;
    ensure!(carried + own + none == messages && *own == with_own && is_room, "{line}");
    // Of the calls that are exported each says so, but those that have their own context, or no room.
    let said = lines.iter().filter(|line| line.starts_with("recorded ")).count() as u64;
    let exported =
        recorded.iter().filter(|span| span.span.kind() == SpanKind::Client && !has_own(span)).count() as u64;
    let are_all = said <= exported && exported <= said + none && (said > 0 || messages < 10_000);
    ensure!(are_all || !writes_from_probes(), "{said} of {exported} calls that are exported say so: {line}");
    // What the agent has counted is what has arrived.
    let logs = [log];
    let [by_agent, own_by_agent, no_room] = [WRITTEN, OWN, NO_ROOM].map(|names| counted_by(&logs, names));
    let is_right = if writes_from_probes() {
        [by_agent, own_by_agent, no_room] == [*carried, *own, *none] && *carried > 0
    } else {
        *carried == 0
    };
    ensure!(
        is_right,
        "{line}, but the agent counted {by_agent}, {own_by_agent}, {no_room}:\n{}",
        shown(&logs[0])
    );
    ended(&mut app)?;
    Ok(line.trim_start_matches("done ").to_owned())
}

/// Whether the message of this call has a context of its own.
fn has_own(span: &Received) -> bool {
    let number = |name: &&str| match span.attributes.get(*name) {
        Some(Value::Str(text)) => text.split_once("m/")?.1.parse::<u64>().ok(),
        _ => None,
    };
    NAMES.iter().find_map(number).is_some_and(|number| number % 8 == 0)
}

/// Messages that say that their span is recorded, and name none that is a call with their path.
fn others(lines: &[String], spans: &[Received]) -> Vec<String> {
    let calls: HashMap<String, &Received> = spans
        .iter()
        .filter(|span| span.span.kind() == SpanKind::Client)
        .map(|span| (format!("00-{}-{}-01", hex(&span.span.trace_id), hex(&span.span.span_id)), span))
        .collect();
    let is_its = |span: &Received, path: &str| {
        NAMES.iter().any(|name| matches!(span.attributes.get(*name), Some(Value::Str(text)) if text.ends_with(path.trim_start_matches('/'))))
    };
    let is_right = |said: &str| {
        let (path, parent) = said.split_once(' ')?;
        calls.get(parent).filter(|span| is_its(span, path))
    };
    let said = lines.iter().filter_map(|line| line.strip_prefix("recorded "));
    said.filter(|said| is_right(said).is_none()).map(str::to_owned).collect()
}
