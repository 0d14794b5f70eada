//! `grpc`: a call that is answered, one that the server does not implement, and one when it has stopped.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::samples::{Ran, failed, span};
use strobe_tests::spans::{Expected, Parent, Value};

use super::{build, later};

const SOURCE: &str = include_str!("../../apps/otel_grpc/main.go");
const METHOD: &str = "helloworld.Greeter/SayHello";
const REFUSED: &str = "connect: connection refused";
const UNIMPLEMENTED: &str = "nobody is not greeted";
const MODULES: &[(&str, &str)] =
    &[("go.opentelemetry.io/otel", "v1.38.0"), ("google.golang.org/grpc", "v1.85.0")];

fn rpc(kind: SpanKind, port: u16, code: &str, peer: Option<SocketAddr>) -> Expected {
    let address = peer.map(|peer| peer.ip().to_string());
    let mut text = vec![
        ("rpc.system.name", "grpc"),
        ("rpc.method", METHOD),
        ("rpc.status_code", code),
        ("server.address", "localhost"),
    ];
    text.extend(address.as_deref().map(|address| ("network.peer.address", address)));
    let mut numbers = vec![("server.port", port)];
    numbers.extend(peer.map(|peer| ("network.peer.port", peer.port())));
    let span = span(kind, METHOD, &text, &numbers);
    if code == "OK" { span } else { failed(span, code) }
}

/// What the handler makes by hand.
fn greeting(name: &str) -> Expected {
    Expected { parent: Parent::Above, ..span(SpanKind::Internal, "SayHello", &[("name", name)], &[]) }
}

#[test]
fn grpc() -> Result<()> {
    let ran = Ran::of(&build(SOURCE, MODULES)?, &[], &[])?;
    let port = ran.said("listening on port ", 0)?;
    let mut due = vec![rpc(SpanKind::Client, port, "UNAVAILABLE", None)];
    for (nth, (name, code)) in [("world", "OK"), ("nobody", "UNIMPLEMENTED")].into_iter().enumerate() {
        let mut served = rpc(SpanKind::Server, port, code, Some(ran.said("peer ", nth)?));
        served.children = later::by_api(greeting(name), Vec::new());
        due.extend(later::across(rpc(SpanKind::Client, port, code, None), served));
    }
    let mut scopes = vec!["strobe/google.golang.org/grpc"];
    scopes.extend(later::MANUAL_SPANS_BY_API.then_some("strobe.test/otel_grpc"));
    ran.are(&due, &scopes)?;

    // What was said of each failure is its span's description.
    let refused = ran.told("refused ")?;
    ensure!(
        refused.contains("transport: Error while dialing: dial tcp") && refused.contains(REFUSED),
        "{refused}"
    );
    for span in ran.spans.iter().filter(|span| span.scope == scopes[0]) {
        let message = span.span.status.as_ref().map_or("", |status| &status.message);
        let is_code = |code: &str| span.attributes.get("rpc.status_code") == Some(&Value::from(code));
        let due = match () {
            () if is_code("UNIMPLEMENTED") => UNIMPLEMENTED,
            () if is_code("UNAVAILABLE") => &refused,
            () => "",
        };
        ensure!(message == due, "{due:?} is due: {span:?}");
    }
    Ok(())
}
