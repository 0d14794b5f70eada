//! A host that starts programs all the time (CI runners, cron, shell scripts), with one target among them.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use strobe_tests::client::Connection;

use super::{agent::Agent, outcome::Outcome, service};

/// 50,000 a minute.
const PER_SECOND: u32 = 833;
const SECONDS: u32 = 20;

pub fn run() -> Result<Outcome> {
    let copies = service::Copies::of("bench")?;
    let file = copies.copy("target")?;
    let (service, address) = service::start(&file, &[])?;
    let mut agent = Agent::of_files(&[&file])?;
    agent.traces(1, Duration::from_secs(30))?;
    crate::measure::settle(agent.running.pid())?;
    agent.begin()?;
    let executed = execute()?;
    let used = agent.used()?;
    let mut connection = Connection::open(address)?;
    connection.send(b"GET /items/1 HTTP/1.1\r\nHost: scale\r\n\r\n")?;
    connection.receive(false)?;
    let mut spans = agent.spans(1, Duration::from_secs(10))?;
    drop(service);
    let (used, late) = agent.finish(used)?;
    spans.extend(late);
    let rate = f64::from(executed) / used.wall.as_secs_f64() * 60.0;
    Ok(Outcome {
        target: "under 1 % of a core at 50,000 a minute, nothing lost".to_owned(),
        figure: format!("{rate:.0} a minute, {:.2} % of a core; {} span of 1", used.percent(), spans.len()),
        met: used.percent() < 1.0 && rate >= 45_000.0 && spans.len() == 1 && used.losses.is_empty(),
        used,
    })
}

/// Runs `true` at the wanted rate; how often it did.
fn execute() -> Result<u32> {
    let begin = Instant::now();
    let mut executed = 0;
    while begin.elapsed() < Duration::from_secs(u64::from(SECONDS)) {
        let due = (begin.elapsed().as_secs_f64() * f64::from(PER_SECOND)) as u32;
        if executed >= due {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let mut command = Command::new("/bin/true");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().context("running /bin/true")?;
        executed += 1;
    }
    Ok(executed)
}
