//! 500 processes of 500 files, started at once: each has to be planned, attached and configured on its own.

use std::{collections::BTreeSet, time::Duration, time::Instant};

use anyhow::Result;
use strobe_tests::client::Connection;

use super::{agent::Agent, agent::text, outcome::Outcome, service};

const FILES: usize = 500;
/// Of the machine, not of the agent: five hundred Go programs start on two processors.
const LIMIT: Duration = Duration::from_secs(120);

pub fn run() -> Result<Outcome> {
    let copies = service::Copies::of("bench")?;
    let files = (0..FILES).map(|n| copies.copy(&format!("svc{n}"))).collect::<Result<Vec<_>>>()?;
    let paths: Vec<_> = files.iter().map(std::path::PathBuf::as_path).collect();
    let mut agent = Agent::of_files(&paths)?;
    agent.running.expect_stderr("waiting for", 0)?;
    agent.begin()?;
    let begin = Instant::now();
    let mut services = Vec::new();
    for file in &files {
        services.push(service::start(file, &[])?);
    }
    let started = begin.elapsed();
    agent.traces(FILES, LIMIT)?;
    let traced = begin.elapsed();
    for (number, (_, address)) in services.iter().enumerate() {
        let mut connection = Connection::open(*address)?;
        connection.send(
            format!("GET /items/{number} HTTP/1.1\r\nHost: scale\r\nUser-Agent: t/{number}\r\n\r\n")
                .as_bytes(),
        )?;
        connection.receive(false)?;
    }
    let mut spans = agent.spans(FILES, Duration::from_secs(20))?;
    let used = agent.used()?;
    drop(services);
    let (used, late) = agent.finish(used)?;
    spans.extend(late);
    let agents: BTreeSet<&str> = spans.iter().map(|span| text(span, "user_agent.original")).collect();
    Ok(Outcome {
        target: format!("all traced within 30 s of the last start, {FILES} of {FILES} spans, nothing lost"),
        figure: format!(
            "started in {:.1} s, the last one traced {:.1} s later; {} spans of {} services",
            started.as_secs_f64(),
            (traced - started).as_secs_f64(),
            spans.len(),
            agents.len()
        ),
        met: traced - started <= Duration::from_secs(30)
            && (spans.len(), agents.len()) == (FILES, FILES)
            && used.losses.is_empty(),
        used,
    })
}
