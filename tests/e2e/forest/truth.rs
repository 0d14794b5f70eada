//! What the services have written down: a line for each call and one for each request served, as spans that are due.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// Below whom a span has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parent {
    Nobody,
    /// The request served by the same process that has this id.
    Request(String),
    /// The call with this id, by whichever process.
    Call(String),
    /// Trace and span, in hex: a caller that the service has made up.
    Remote(String, String),
}

/// A span that is due.
#[derive(Debug)]
pub struct Node {
    /// The service whose it is.
    pub service: &'static str,
    pub kind: SpanKind,
    /// The request's id.
    pub id: String,
    pub name: String,
    pub is_error: bool,
    pub parent: Parent,
    pub attributes: BTreeMap<&'static str, String>,
}

/// Reads a line: words between tabs (`tests/apps/forest/truth.go`).
pub fn node(service: &'static str, line: &str) -> Result<Node> {
    let words: Vec<&str> = line.split('\t').collect();
    match words.as_slice() {
        ["call", id, parent, method, url, host, port, status, version] => {
            let parent = if *parent == "-" { Parent::Nobody } else { Parent::Request((*parent).to_owned()) };
            let mut attributes = BTreeMap::from([
                ("http.request.method", (*method).to_owned()),
                ("url.full", (*url).to_owned()),
                ("server.address", (*host).to_owned()),
                ("server.port", (*port).to_owned()),
                ("http.response.status_code", (*status).to_owned()),
                ("network.protocol.version", (*version).to_owned()),
            ]);
            let is_error = fails(&mut attributes, status, 400)?;
            let (id, name) = ((*id).to_owned(), (*method).to_owned());
            Ok(Node { service, kind: SpanKind::Client, id, name, is_error, parent, attributes })
        }
        ["served", id, traceparent, rest @ ..] => served(service, id, traceparent, rest),
        _ => bail!("it is neither a call nor a request"),
    }
}

fn served(service: &'static str, id: &str, traceparent: &str, rest: &[&str]) -> Result<Node> {
    let [method, path, query, scheme, host, peer, agent, status, version] = rest else {
        bail!("{} words", rest.len());
    };
    let parent = match traceparent.split('-').collect::<Vec<_>>().as_slice() {
        [_, trace, span, _] => Parent::Remote((*trace).to_owned(), (*span).to_owned()),
        _ => Parent::Call(id.to_owned()),
    };
    let (server, port) = host.rsplit_once(':').context("a host with its port")?;
    let (address, peer_port) = peer.rsplit_once(':').context("a peer with its port")?;
    let mut attributes = BTreeMap::from(
        [
            ("http.request.method", *method),
            ("http.route", "/node/{id}"),
            ("url.path", path),
            ("url.query", query),
            ("url.scheme", scheme),
            ("server.address", server),
            ("server.port", port),
            ("network.peer.address", address),
            ("network.peer.port", peer_port),
            ("client.address", address),
            ("user_agent.original", agent),
            ("http.response.status_code", status),
            ("network.protocol.version", version),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    let is_error = fails(&mut attributes, status, 500)?;
    let name = format!("{method} /node/{{id}}");
    Ok(Node { service, kind: SpanKind::Server, id: id.to_owned(), name, is_error, parent, attributes })
}

/// Whether the status is an error's: from this one on.
fn fails(attributes: &mut BTreeMap<&'static str, String>, status: &str, from: u16) -> Result<bool> {
    let is_error = status.parse::<u16>().context("a status")? >= from;
    if is_error {
        attributes.insert("error.type", status.to_owned());
    }
    Ok(is_error)
}
