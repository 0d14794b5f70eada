//! Processes that claim what they are not, forge log lines, or are too large; and secrets that stay secrets.

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::Service;
use strobe_tests::collector::Collector;
use strobe_tests::process::{PATIENCE, Running};
use strobe_tests::spans::{Received, Value};

use super::ports::Port;
use super::stage::{self, Stage};

/// The first span of a service with these variables, as the collector got it, and what the agent said.
fn first_span(
    stage: &Stage,
    of_service: &[(&str, &str)],
    of_agent: &[(&str, &str)],
) -> Result<(Received, Running)> {
    let service = stage.service(of_service)?;
    span_of(&service, "/", of_agent)
}

fn span_of(service: &Service, target: &str, of_agent: &[(&str, &str)]) -> Result<(Received, Running)> {
    let collector = Collector::start()?;
    // Names may forge the line that the harness waits for: the collector is asked instead.
    let mut command = stage::agent(service.running.pid(), &collector.endpoint(), of_agent)?;
    let mut agent = Running::start(&mut command)?;
    let traced = agent.stderr.wait_for("tracing pid ", 0, stage::SETTLED);
    ensure!(traced.is_some(), "the agent does not trace the service; it printed:\n{}", agent.output());
    stage::request(service.http, target, 1)?;
    collector.wait_for(1, PATIENCE);
    stage::end(&mut agent)?;
    let span = collector.take()?.pop().with_context(|| agent.output())?;
    Ok((span, agent))
}

#[test]
fn a_process_cannot_claim_another_host_or_container() -> Result<()> {
    let stage = Stage::new()?;
    let claims = "host.name=other,host.id=other,process.executable.path=/other,telemetry.sdk.name=other,os.type=other,\
                  deployment.environment.name=test";
    let (span, agent) = first_span(&stage, &[("OTEL_RESOURCE_ATTRIBUTES", claims)], &[])?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let app = stage.app.to_string_lossy();
    for (key, want) in [
        ("host.name", host.trim()),
        ("process.executable.path", &app),
        ("telemetry.sdk.name", "strobe"),
        ("os.type", "linux"),
        ("deployment.environment.name", "test"),
    ] {
        ensure!(span.resource.get(key) == Some(&Value::from(want)), "{key}: {:?}", span.resource.get(key));
    }
    ensure!(span.resource.get("host.id") != Some(&Value::from("other")), "host.id");
    let said =
        agent.stderr.all().iter().filter(|line| line.contains("against what strobe found out")).count();
    ensure!(said == 1, "said {said} times:\n{}", agent.output());
    Ok(())
}

#[test]
fn the_agents_own_configuration_may_name_the_host() -> Result<()> {
    let stage = Stage::new()?;
    let variables = [("OTEL_RESOURCE_ATTRIBUTES", "host.name=node-1")];
    let (span, _) = first_span(&stage, &[("OTEL_RESOURCE_ATTRIBUTES", "host.name=other")], &variables)?;
    ensure!(span.resource.get("host.name") == Some(&Value::from("node-1")), "{:?}", span.resource);
    Ok(())
}

/// One string of an environment may have 128 KiB.
#[test]
fn an_environment_of_a_hundred_kilobytes_makes_a_resource_of_64_attributes() -> Result<()> {
    let stage = Stage::new()?;
    let mut attributes: String = (0..8_000).map(|n| format!("k{n}=v,")).collect();
    attributes.insert_str(0, &format!("long={},", "%C3%A9".repeat(5_000)));
    let (span, agent) = first_span(&stage, &[("OTEL_RESOURCE_ATTRIBUTES", &attributes)], &[])?;
    ensure!(span.resource.len() <= 64, "{} attributes", span.resource.len());
    let Some(Value::Str(long)) = span.resource.get("long") else { anyhow::bail!("long is missing") };
    ensure!(long.len() == 4096 && long.chars().all(|c| c == '\u{e9}'), "{} bytes", long.len());
    ensure!(span.resource.contains_key("process.executable.path"), "{:?}", span.resource);
    ensure!(agent.stderr.text().contains("attributes beyond 64"), "{}", agent.output());
    Ok(())
}

#[test]
fn a_name_forges_no_log_line_and_reaches_no_terminal() -> Result<()> {
    let forged = "2026-01-01T00:00:00Z ERROR forged";
    let stage = Stage::named(&format!("app\n{forged} by its path\x1b]0;x\x07"))?;
    let name = format!("shop\n{forged} by its name\x1b[31m\u{202e}");
    let service = stage.service(&[("OTEL_SERVICE_NAME", &name)])?;
    let (span, agent) = span_of(&service, "/", &[("OTEL_LOG_LEVEL", "trace")])?;
    ensure!(
        span.resource.get("service.name") == Some(&Value::from(name.as_str())),
        "the span keeps the name"
    );
    for line in agent.stderr.all() {
        ensure!(!line.starts_with(forged), "forged: {line}");
        let powerful = |c: char| c.is_control() || c == '\u{202e}';
        ensure!(!line.contains(powerful), "{line:?}");
    }
    ensure!(agent.stderr.text().contains("shop\\n2026"), "{}", agent.output());
    Ok(())
}

#[test]
fn no_credential_reaches_the_log() -> Result<()> {
    let stage = Stage::new()?;
    let service = stage.service(&[])?;
    let closed = stage::closed_port()?;
    let variables = [
        ("OTEL_LOG_LEVEL", "trace"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret,authorization: Basic s3cret=="),
    ];
    // The second one says back whatever it is sent, headers included.
    for port in [format!("127.0.0.1:{closed}"), Port::Echo.open()?] {
        let endpoint = format!("http://user:s3cret@{port}/?api_key=s3cret");
        let variables = [variables.as_slice(), &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)]].concat();
        let mut agent = stage::traced(&service, &endpoint, &variables)?;
        stage::request(service.http, "/", 1)?;
        agent.expect_stderr(&format!("WARN http://{port}/"), 0)?;
        stage::end(&mut agent)?;
        ensure!(!agent.stderr.text().contains("s3cret"), "{}", agent.output());
    }
    let proxy = format!("http://user:s3cret@127.0.0.1:{closed}");
    let variables = [("OTEL_LOG_LEVEL", "trace"), ("HTTP_PROXY", &proxy)];
    let mut agent = stage::traced(&service, "http://user:s3cret@collector.test:4318", &variables)?;
    stage::request(service.http, "/", 1)?;
    agent.expect_stderr("a proxy is configured", 0)?;
    stage::end(&mut agent)?;
    ensure!(!agent.stderr.text().contains("s3cret"), "{}", agent.output());
    for endpoint in ["http://user:s3cret@h:99999?key=s3cret", "ftp://user:s3cret@h"] {
        let mut agent = Running::start(&mut stage::agent(service.running.pid(), endpoint, &[])?)?;
        ensure!(!agent.wait(PATIENCE)?.success(), "{}", agent.output());
        let text = agent.output();
        ensure!(text.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && !text.contains("s3cret"), "{text}");
    }
    Ok(())
}

#[test]
fn the_query_keys_that_are_redacted_can_be_chosen() -> Result<()> {
    let stage = Stage::new()?;
    let service = stage.service(&[])?;
    let target = "/?coupon=a&sig=b";
    for (variables, want) in [
        (&[][..], "coupon=a&sig=REDACTED"),
        (&[("STROBE_SENSITIVE_QUERY_PARAMETERS", "coupon,other")], "coupon=REDACTED&sig=b"),
        (&[("STROBE_SENSITIVE_QUERY_PARAMETERS", "none")], "coupon=a&sig=b"),
    ] {
        let (received, _) = span_of(&service, target, variables)?;
        let query = received.attributes.get("url.query");
        ensure!(query == Some(&Value::from(want)), "{query:?}, not {want}");
    }
    Ok(())
}
