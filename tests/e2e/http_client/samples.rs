//! OpenTelemetry's own end-to-end applications of net/http, by their names: what they have to see of them is seen, by the conventions'
//! newer names, and without the credentials. Its server's span is below its client's.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::golang::{self, Build, go};
use strobe_tests::samples::{Ran, span};
use strobe_tests::spans::{Expected, Parent};

macro_rules! samples {
    ($($app:ident)+) => { $(
        mod $app {
            use super::*;

            #[test]
            fn go1_22() -> Result<()> { seen(stringify!($app), go(22)) }
            #[test]
            fn go1_24() -> Result<()> { seen(stringify!($app), go(24)) }
            #[test]
            fn go1_26() -> Result<()> { seen(stringify!($app), go(26)) }
            #[test]
            fn go1_27() -> Result<()> { seen(stringify!($app), go(27)) }
        }
    )+ };
}

samples! { nethttp nethttp_custom }

/// What is due of it.
fn seen(app: &str, version: &str) -> Result<()> {
    let ran = Ran::of(&golang::build(app, version, Build::Stripped)?, &[], &[])?;
    let (port, peer): (u16, SocketAddr) = (ran.said("listening on port ", 0)?, ran.said("peer ", 0)?);
    let mut served = server(port, &peer.ip().to_string(), peer.port());
    // That its parent is remote is in its flags.
    (served.parent, served.flags) = (Parent::Above, 0x301);
    let due = [Expected { children: vec![served], ..client(port) }];
    ran.are(&due, &["strobe/net/http"]).with_context(|| format!("Go {version}"))
}

fn server(port: u16, peer: &str, peer_port: u16) -> Expected {
    let text = [
        ("http.request.method", "GET"),
        ("http.route", "/hello/{id}"),
        ("url.path", "/hello/42"),
        ("url.query", "query=true"),
        ("url.scheme", "http"),
        ("server.address", "localhost"),
        ("client.address", peer),
        ("network.peer.address", peer),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "Go-http-client/1.1"),
    ];
    let numbers =
        [("server.port", port), ("network.peer.port", peer_port), ("http.response.status_code", 200)];
    span(SpanKind::Server, "GET /hello/{id}", &text, &numbers)
}

fn client(port: u16) -> Expected {
    let url = format!("http://REDACTED:REDACTED@localhost:{port}/hello/42?query=true#fragment");
    let text = [
        ("http.request.method", "GET"),
        ("url.full", url.as_str()),
        ("server.address", "localhost"),
        ("network.protocol.version", "1.1"),
    ];
    span(SpanKind::Client, "GET", &text, &[("server.port", port), ("http.response.status_code", 200)])
}
