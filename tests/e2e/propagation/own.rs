//! Programs that send a trace context of their own keep it, byte for byte, and get no second one, whatever the agent is told to do with contexts:
//! one with OpenTelemetry's SDK (`tests/apps/sdk`), and a thousand requests of 40 headers (`tests/apps/carries`). Where the kernel lets no
//! probe write, as on most machines that the tests run on, the virtual machines of `tests/vm` have the rest: their case `own1.27`.

use std::path::Path;

use analyzer::plan::Code;
use anyhow::{Result, ensure};
use strobe_tests::agent::{losses, writes_from_probes};
use strobe_tests::golang::{self, Build, go};
use strobe_tests::http_client::carried::{check_counted, shown};
use strobe_tests::recorder::Recorder;
use strobe_tests::stage::Stage;

use super::sdk::{self, LEFT_ALONE, OVER_HTTP, Said};
use super::thousand::{self, Due, REQUESTS};

/// What the log says where contexts are to be written and cannot be.
const NOT_WRITTEN: &str = "do not carry their trace context: the kernel does not let";

/// What of the thousand requests docs/decisions/propagation-writes.md says.
const SAID: Due = Due { carrying: 731, own: 200, no_room: 69 };

/// The program runs under an agent that is told to do this; what it sends and what the agent makes of that is as it should be, and the agent's
/// log is given back.
fn keeps_its_own(built: &Path, propagation: &str) -> Result<String> {
    let recorder = Recorder::start()?;
    let address = recorder.address();
    let variables = [("STROBE_PROPAGATION", propagation), ("OTEL_LOG_LEVEL", "debug")];
    let mut stage = Stage::new(built, &[("RECORDER", &address.to_string())], &variables)?;
    // And the one of the request for /go.
    let spans = stage.run(sdk::SPANS + 1)?;
    stage.stop()?;
    let log = stage.agent.output();
    let wrong = Said::by(&stage.app)?.wrong(address, recorder.take(), &spans);
    ensure!(wrong.is_empty(), "{propagation}: {}\n{}", wrong.join("\n"), shown(&log));
    ensure!(losses(&stage.agent).is_empty(), "{}", shown(&log));
    Ok(log)
}

/// What the Plan says that is left alone.
fn left_alone(built: &Path) -> Result<Vec<String>> {
    let plan = analyzer::plan_file(built, &analyzer::Options::default(), &[])?;
    let findings = plan.libraries.into_iter().flat_map(|library| library.findings);
    Ok(findings.filter(|finding| finding.code == Code::LeftAlone).map(|finding| finding.message).collect())
}

#[test]
fn an_sdks_contexts_are_kept_and_are_the_parents() -> Result<()> {
    keeps_all(&sdk::NEWEST.build()?)
}

#[test]
fn an_older_sdks_contexts_are_kept_and_are_the_parents() -> Result<()> {
    keeps_all(&sdk::OLDER.build()?)
}

fn keeps_all(built: &Path) -> Result<()> {
    let said = left_alone(built)?;
    ensure!(!said.is_empty() && said.iter().all(|text| text.contains(LEFT_ALONE)), "{said:?}");
    for propagation in ["auto", "write"] {
        let log = keeps_its_own(built, propagation)?;
        ensure!(log.contains(LEFT_ALONE), "{}", shown(&log));
        if propagation == "write" {
            contexts_are(&log, (0, OVER_HTTP, 0))?;
        }
    }
    Ok(())
}

/// Requests that have been given a context by the agent, that have their own, and that have no room for one, as its counters say; or that it
/// gives none to anybody, and why.
fn contexts_are(log: &str, (written, own, no_room): (usize, usize, usize)) -> Result<()> {
    if !writes_from_probes()? {
        ensure!(log.contains(NOT_WRITTEN), "{}", shown(log));
        return Ok(());
    }
    check_counted(
        log,
        &[
            ("net_http_client.context.written", written),
            ("net_http_client.context.own", own),
            ("net_http_client.context.no_room", no_room),
            ("net_http_client.context.unreadable", 0),
        ],
    )
}

#[test]
fn a_thousand_requests_of_40_headers_arrive_as_they_were_sent() -> Result<()> {
    for version in [go(22), go(27)] {
        let recorder = Recorder::start()?;
        let address = recorder.address();
        let built = golang::build("carries", version, Build::Stripped)?;
        let variables = [("STROBE_PROPAGATION", "write"), ("OTEL_LOG_LEVEL", "debug")];
        let mut stage = Stage::with(&built, &[&address.to_string(), "thousand"], &[], &variables)?;
        let spans = stage.run(REQUESTS + 1)?;
        stage.stop()?;
        let log = stage.agent.output();
        let mut wrong = thousand::wrong(address, recorder.take(), &spans, writes_from_probes()?);
        wrong.truncate(8);
        ensure!(wrong.is_empty(), "{version}: {}\n{}", wrong.join("\n"), shown(&log));
        let due = Due::of(address);
        println!("{}", due.text());
        ensure!(due == SAID, "{due:?}, which docs/decisions/propagation-writes.md says, too");
        contexts_are(&log, (due.carrying, due.own, due.no_room))?;
    }
    Ok(())
}
