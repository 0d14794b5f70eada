//! `gin`: a request for a route of gin's, with the route, and the call of a client.

use std::net::SocketAddr;

use anyhow::Result;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::samples::{Ran, span};

use super::{build, later};

const SOURCE: &str = include_str!("../../apps/otel_gin/main.go");

#[test]
fn gin() -> Result<()> {
    let ran = Ran::of(&build(SOURCE, &[("github.com/gin-gonic/gin", "v1.12.0")])?, &[], &[])?;
    let (port, peer): (u16, SocketAddr) = (ran.said("listening on port ", 0)?, ran.said("peer ", 0)?);
    let (peer_address, peer_port) = (peer.ip().to_string(), peer.port());
    let status = ("http.response.status_code", 200);
    let text = [
        ("http.request.method", "GET"),
        ("http.route", "/hello-gin"),
        ("url.path", "/hello-gin"),
        ("url.scheme", "http"),
        ("server.address", "localhost"),
        ("client.address", &peer_address),
        ("network.peer.address", &peer_address),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "Go-http-client/1.1"),
    ];
    let numbers = [("server.port", port), ("network.peer.port", peer_port), status];
    let served = span(SpanKind::Server, "GET /hello-gin", &text, &numbers);
    let url = format!("http://localhost:{port}/hello-gin");
    let text = [
        ("http.request.method", "GET"),
        ("url.full", url.as_str()),
        ("server.address", "localhost"),
        ("network.protocol.version", "1.1"),
    ];
    let call = span(SpanKind::Client, "GET", &text, &[("server.port", port), status]);
    ran.are(&later::across(call, served), &["strobe/net/http"])
}
