//! 10,000 requests in flight in one process: each one's span has its own data, and none is missing.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use strobe_tests::client::Connection;

use super::{agent::Agent, agent::text, outcome::Outcome, service};

const REQUESTS: usize = 10_000;

pub fn run() -> Result<Outcome> {
    let copies = service::Copies::of("httpserver")?;
    let file = copies.copy("target")?;
    let (service, address) = service::start(&file, &[])?;
    let mut agent = Agent::of_files(&[&file])?;
    agent.traces(1, Duration::from_secs(30))?;
    agent.begin()?;
    let mut connections = (0..REQUESTS).map(|_| Connection::open(address)).collect::<Result<Vec<_>>>()?;
    for (number, connection) in connections.iter_mut().enumerate() {
        let request = format!(
            "GET /raw/barrier?n={REQUESTS}&i={number} HTTP/1.1\r\nHost: scale\r\nUser-Agent: t/{number}\r\nTraceparent: 00-{:032x}-{:016x}-01\r\n\r\n",
            number + 1,
            number + 1
        );
        connection.send(request.as_bytes())?;
    }
    for connection in &mut connections {
        connection.receive(false)?;
    }
    let mut spans = agent.spans(REQUESTS, Duration::from_secs(30))?;
    let used = agent.used()?;
    drop(connections);
    drop(service);
    let (used, late) = agent.finish(used)?;
    spans.extend(late);
    let exact: BTreeMap<&str, bool> = spans
        .iter()
        .map(|span| {
            let name = text(span, "user_agent.original");
            let number = name.strip_prefix("t/").and_then(|n| n.parse::<u128>().ok()).unwrap_or(u128::MAX);
            let own = format!("n={REQUESTS}&i={number}") == text(span, "url.query")
                && span.span.trace_id == (number.wrapping_add(1)).to_be_bytes();
            (name, own)
        })
        .collect();
    let right = exact.values().filter(|own| **own).count();
    Ok(Outcome {
        target: format!("{REQUESTS} of {REQUESTS} spans, each with its own data, nothing lost"),
        figure: format!("{} spans, {right} with their own data", spans.len()),
        met: spans.len() == REQUESTS && right == REQUESTS && used.losses.is_empty(),
        used,
    })
}
