//! The pipeline against collectors that misbehave.

use super::*;

mod collector;
mod throughput;

use collector::{Collector, Nature, Reply};
use std::ffi::OsString;
use std::time::Instant;

/// A resource with this service name.
pub(crate) fn resource(name: &str) -> Arc<Resource> {
    use crate::resource::{AgentFacts, BinaryFacts, Facts, HostFacts, ProcessFacts};
    let process = ProcessFacts { service_name: Some(name.to_owned()), ..ProcessFacts::default() };
    let (binary, host, agent) = (BinaryFacts::default(), HostFacts::default(), AgentFacts::default());
    Arc::new(Resource::new(Facts { process: &process, binary: &binary, host: &host, agent: &agent }).0)
}

/// A span with this name.
pub(crate) fn span(name: &'static str) -> Span<'static> {
    use crate::spans::{Kind, Value, semconv};
    Span {
        scope: semconv::scope::NET_HTTP,
        trace_id: [1; 16],
        span_id: [2; 8],
        parent_span_id: None,
        flags: 0x101,
        trace_state: None,
        name: name.into(),
        kind: Kind::Server,
        start_unix_ns: 1_000,
        end_unix_ns: 2_000,
        attributes: vec![
            ("url.path", Value::Str("/".into())),
            ("http.response.status_code", Value::Int(200)),
        ],
        dropped_attributes: 0,
        events: Vec::new(),
        dropped_events: 0,
        links: Vec::new(),
        made: None,
        error: false,
        message: None,
    }
}

fn config(port: u16, more: &[(&str, &str)]) -> Config {
    let endpoint = format!("127.0.0.1:{port}");
    let get = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(OsString::from(&endpoint)),
        "OTEL_BSP_SCHEDULE_DELAY" => Some("20".into()),
        _ => more.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value)),
    };
    Config::from_env(get).0
}

fn start(port: u16, more: &[(&str, &str)]) -> Pipeline {
    let config = config(port, more);
    Pipeline::start(&config, Outputs::choose(&config, Stream::Stderr, true)).expect("starts")
}

fn push(pipeline: &Pipeline, spans: usize) {
    let resource = resource("shop");
    for _ in 0..spans {
        pipeline.push(&span("GET /"), &resource);
    }
}

async fn end(pipeline: Pipeline, deadline: Duration) -> Stats {
    pipeline.shutdown(deadline, std::future::pending()).await
}

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn spans_arrive_with_headers_and_connections_are_kept() {
    let collector = Collector::start(vec![]).await;
    let one = ("OTEL_BSP_MAX_CONCURRENT_EXPORTS", "1");
    let pipeline = start(collector.port, &[("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"), one]);
    push(&pipeline, 600);
    tokio::time::sleep(Duration::from_millis(200)).await;
    push(&pipeline, 1);
    let stats = end(pipeline, PATIENCE).await;
    assert_eq!((stats.queued, stats.exported, stats.waiting, stats.dropped()), (601, 601, 0, 0));
    let requests = collector.requests();
    let mut sizes: Vec<usize> = requests.iter().map(|request| request.spans).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 88, 512]);
    let first = &requests[0];
    assert_eq!(first.line, "POST /v1/traces HTTP/1.1");
    for header in ["content-type: application/x-protobuf", "x-tenant: a b", "user-agent: strobe/"] {
        assert!(first.head.contains(header), "{header} missing in {}", first.head);
    }
    assert_eq!(collector.connections(), 1);
}

#[tokio::test]
async fn a_collector_that_is_away_costs_nothing() {
    let reserved = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = reserved.local_addr().expect("address").port();
    drop(reserved);
    let pipeline = start(port, &[]);
    push(&pipeline, 100);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(pipeline.stats().waiting, 100);
    let collector = Collector::start_on(port, vec![]).await;
    push(&pipeline, 5);
    let stats = end(pipeline, PATIENCE).await;
    assert_eq!((stats.exported, stats.dropped()), (105, 0));
    assert!(stats.retries >= 2, "{stats}");
    assert_eq!(collector.spans(), 105);
}

#[tokio::test]
async fn retry_after_is_respected() {
    let busy = Reply::status(503).with_header("Retry-After: 2");
    let collector = Collector::start(vec![busy, Reply::Drop, Reply::status(429)]).await;
    let begin = Instant::now();
    let pipeline = start(collector.port, &[]);
    push(&pipeline, 3);
    let stats = end(pipeline, PATIENCE).await;
    assert_eq!((stats.exported, stats.retries, stats.dropped()), (3, 3, 0));
    assert!(begin.elapsed() >= Duration::from_secs(2));
    assert_eq!(collector.requests().len(), 4);
}

#[tokio::test]
async fn refused_and_rejected_spans_are_counted_and_not_sent_again() {
    let partial = Reply::partial(2, "two are \x1b[31mtoo old");
    let collector =
        Collector::start(vec![Reply::status(400), partial, Reply::status(500), Reply::garbage()]).await;
    let pipeline = start(collector.port, &[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5")]);
    push(&pipeline, 20);
    let stats = end(pipeline, PATIENCE).await;
    assert_eq!((stats.refused, stats.rejected, stats.exported, stats.requests), (10, 2, 8, 4));
    assert_eq!((stats.queued, stats.waiting), (20, 0));
}

#[tokio::test]
async fn gzip_when_asked() {
    let collector = Collector::start(vec![]).await;
    let pipeline = start(collector.port, &[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")]);
    push(&pipeline, 50);
    assert_eq!(end(pipeline, PATIENCE).await.exported, 50);
    let requests = collector.requests();
    assert!(requests[0].head.contains("content-encoding: gzip"), "{}", requests[0].head);
    assert_eq!(collector.spans(), 50);
}

#[tokio::test]
async fn a_full_queue_and_a_deadline_are_counted() {
    let collector = Collector::start(vec![Reply::Hang, Reply::Hang]).await;
    let pipeline = start(
        collector.port,
        &[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
            ("OTEL_BSP_MAX_CONCURRENT_EXPORTS", "1"),
        ],
    );
    push(&pipeline, 25);
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The exporter may have taken its one batch while spans were pushed.
    let (queued, full) = (pipeline.stats().queued, pipeline.stats().queue_full);
    assert!(queued + full == 25 && (10..=14).contains(&queued), "{queued} + {full}");
    let stats = end(pipeline, Duration::from_millis(300)).await;
    assert_eq!((stats.unsent, stats.waiting, stats.dropped()), (queued, 0, 25));
}

#[tokio::test]
async fn a_batch_that_waits_for_its_next_attempt_holds_up_no_other() {
    let busy = Reply::status(503).with_header("Retry-After: 60");
    let collector = Collector::start(vec![busy]).await;
    let pipeline = start(collector.port, &[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")]);
    push(&pipeline, 100);
    let begin = Instant::now();
    while pipeline.stats().exported < 90 && begin.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((pipeline.stats().exported, pipeline.stats().waiting), (90, 10));
    let stats = end(pipeline, Duration::ZERO).await;
    assert_eq!((stats.exported, stats.unsent), (90, 10));
}

#[tokio::test]
async fn a_request_that_is_too_large_is_halved_down_to_one_span() {
    let collector = Collector::start_as(Nature { limit_bytes: Some(20_000), ..Nature::default() }).await;
    let pipeline = start(collector.port, &[]);
    push(&pipeline, 400);
    let mut large = span("GET /large");
    large.attributes.push(("url.query", crate::spans::Value::Str("x".repeat(30_000).into())));
    pipeline.push(&large, &resource("shop"));
    push(&pipeline, 111);
    let stats = end(pipeline, PATIENCE).await;
    assert_eq!((stats.queued, stats.exported, stats.too_large), (512, 511, 1), "{stats}");
    assert!(stats.halved >= 3 && stats.refused == 0, "{stats}");
    assert_eq!(collector.spans(), 511);
}

#[tokio::test]
async fn a_resource_that_is_too_large_takes_no_other_spans_along() {
    let nature = Nature { limit_bytes: Some(100_000), blind: true, ..Nature::default() };
    let collector = Collector::start_as(nature).await;
    let pipeline = start(collector.port, &[]);
    let mut large = Resource::clone(&resource("large"));
    large.encoded.resize(200_000, 0);
    let large = Arc::new(large);
    for _ in 0..50 {
        pipeline.push(&span("GET /large"), &large);
        push(&pipeline, 1);
    }
    let stats = end(pipeline, PATIENCE).await;
    assert_eq!((stats.exported, stats.too_large), (50, 50), "{stats}");
    // One process's spans are not tried one by one.
    assert!(stats.requests < 20, "{stats}");
}

#[tokio::test]
async fn an_absent_collector_is_not_waited_for_and_a_second_signal_ends_the_waiting() {
    let reserved = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = reserved.local_addr().expect("address").port();
    drop(reserved);
    let pipeline = start(port, &[]);
    push(&pipeline, 10);
    let begin = Instant::now();
    let stats = end(pipeline, PATIENCE).await;
    assert_eq!((stats.unsent, stats.waiting), (10, 0));
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());

    let silent = Collector::start(vec![Reply::Hang]).await;
    let pipeline = start(silent.port, &[]);
    push(&pipeline, 10);
    let begin = Instant::now();
    let stats = pipeline.shutdown(PATIENCE, tokio::time::sleep(Duration::from_millis(300))).await;
    assert_eq!(stats.unsent, 10);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}

/// A gRPC server says 200 to a request that it does not know: nothing was taken.
#[tokio::test]
async fn an_answer_in_grpc_is_a_refusal() {
    let answer = Reply::Send(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\ngrpc-status: 12\r\nContent-Length: 0\r\n\r\n"
            .to_vec(),
    );
    let collector = Collector::start(vec![answer]).await;
    let pipeline = start(collector.port, &[]);
    push(&pipeline, 5);
    let stats = end(pipeline, PATIENCE).await;
    assert_eq!((stats.refused, stats.exported), (5, 0), "{stats}");
}

#[tokio::test]
async fn a_silent_collector_times_out_and_is_tried_again() {
    let collector = Collector::start(vec![Reply::Hang]).await;
    let pipeline = start(collector.port, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "300")]);
    push(&pipeline, 1);
    let stats = end(pipeline, PATIENCE).await;
    assert_eq!((stats.exported, stats.retries), (1, 1));
}

#[tokio::test]
async fn what_cannot_be_done_is_an_error_at_the_start() {
    for (variables, want) in [
        (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")][..], "set it to http/protobuf"),
        (&[("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent.pem")], "/nonexistent.pem"),
        (&[("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem")], "set both"),
    ] {
        let config = config(1, variables);
        let error = Pipeline::start(&config, Outputs { otlp: true, waterfall: None }).err().expect("refused");
        assert!(error.to_string().contains(want), "{error}");
        assert!(Pipeline::start(&config, Outputs { otlp: false, waterfall: None }).is_ok());
    }
}

#[test]
fn outputs() {
    let choose = |variables: &[(&str, &str)], terminal| {
        let get = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        Outputs::choose(&Config::from_env(get).0, Stream::Stderr, terminal)
    };
    let (otlp, shown) = (Outputs { otlp: true, waterfall: None }, Some(Stream::Stderr));
    assert_eq!(choose(&[], false), otlp);
    assert_eq!(choose(&[], true), Outputs { otlp: false, waterfall: shown });
    assert_eq!(choose(&[("OTEL_TRACES_EXPORTER", "otlp")], true), otlp);
    assert_eq!(choose(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "c:1")], true), otlp);
    assert_eq!(
        choose(&[("OTEL_TRACES_EXPORTER", "console")], false),
        Outputs { otlp: false, waterfall: shown }
    );
    assert_eq!(choose(&[("OTEL_TRACES_EXPORTER", "none")], true), Outputs { otlp: false, waterfall: None });
}
