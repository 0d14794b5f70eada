//! What the agent says of an endpoint that is not what it should be.

use anyhow::{Result, ensure};
use strobe_tests::collector::Collector;
use strobe_tests::process::Running;

use super::ports::Port;
use super::stage::{self, Stage};

/// The agent's output after one request, once it has said `want` in a line that names the variable to change.
fn said(endpoint: &str, variables: &[(&str, &str)], want: &str) -> Result<Running> {
    let stage = Stage::new()?;
    let service = stage.service(&[])?;
    let mut agent = stage::traced(&service, endpoint, variables)?;
    stage::request(service.http, "/", 1)?;
    let line = agent.expect_stderr(want, 0)?;
    ensure!(line.contains("WARN") && line.contains("OTEL_EXPORTER_OTLP_"), "{line}");
    stage::end(&mut agent)?;
    Ok(agent)
}

#[test]
fn a_grpc_port_is_called_a_grpc_port() -> Result<()> {
    let endpoint = Port::Http2.open()?;
    let agent = said(&endpoint, &[], "probably a gRPC port (usually 4317)")?;
    ensure!(agent.stderr.text().contains("point OTEL_EXPORTER_OTLP_ENDPOINT to"), "{}", agent.output());
    Ok(())
}

#[test]
fn a_tls_port_behind_http_is_called_a_tls_port() -> Result<()> {
    let endpoint = Port::Tls.open()?;
    said(&endpoint, &[], "expects TLS: begin OTEL_EXPORTER_OTLP_ENDPOINT with https://").map(drop)
}

/// Go's own server answers plain HTTP on a TLS port with 400.
#[test]
fn a_tls_port_that_answers_http_with_400_is_called_a_tls_port() -> Result<()> {
    let stage = Stage::new()?;
    let other = stage.service(&[])?;
    said(
        &stage::authority(&other.https)?,
        &[],
        "expects TLS: begin OTEL_EXPORTER_OTLP_ENDPOINT with https://",
    )
    .map(drop)
}

#[test]
fn a_plain_port_behind_https_is_called_so() -> Result<()> {
    let stage = Stage::new()?;
    let other = stage.service(&[])?;
    let endpoint = format!("https://{}", other.http);
    said(&endpoint, &[], "does not speak TLS: begin OTEL_EXPORTER_OTLP_ENDPOINT with http://").map(drop)
}

#[test]
fn a_certificate_that_is_not_trusted_names_the_variable_for_it() -> Result<()> {
    let stage = Stage::new()?;
    let other = stage.service(&[])?;
    let endpoint = format!("https://{}", stage::authority(&other.https)?);
    said(&endpoint, &[], "its certificate is not trusted: set OTEL_EXPORTER_OTLP_CERTIFICATE").map(drop)
}

#[test]
fn statuses_say_what_to_set() -> Result<()> {
    for (status, want) in [
        (404, "no OTLP receiver at that path"),
        (405, "no OTLP receiver at that path"),
        (401, "it wants credentials, or others: set OTEL_EXPORTER_OTLP_HEADERS"),
        (403, "it wants credentials, or others: set OTEL_EXPORTER_OTLP_HEADERS"),
        (415, "it does not take http/protobuf: OTEL_EXPORTER_OTLP_ENDPOINT"),
    ] {
        let collector = Collector::start()?;
        collector.answer_with([status; 20]);
        let agent = said(&collector.endpoint(), &[], want)?;
        ensure!(agent.stderr.text().contains("1 dropped: refused by the collector"), "{}", agent.output());
    }
    Ok(())
}

/// Many requests at a time fail in the same way, again and again: that is one piece of news.
#[test]
fn an_absent_collector_is_said_at_once_and_not_per_batch() -> Result<()> {
    let stage = Stage::new()?;
    let service = stage.service(&[])?;
    let endpoint = format!("127.0.0.1:{}", stage::closed_port()?);
    let mut agent = stage::traced(&service, &endpoint, &[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")])?;
    stage::request(service.http, "/", 20)?;
    agent.expect_stderr("nobody listens there: start the collector", 0)?;
    std::thread::sleep(std::time::Duration::from_secs(5));
    stage::end(&mut agent)?;
    let text = agent.stderr.text();
    let lines = text.lines().filter(|line| line.contains("nobody listens")).count();
    ensure!(lines == 1, "{lines} lines:\n{text}");
    Ok(())
}
