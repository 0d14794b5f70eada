//! `scripts/bench http`: what each end and each version of HTTP costs its target, and a service that calls another.

use anyhow::{Context as _, Result};
use strobe_tests::{
    calls, catalog,
    load::{Case, Load},
    machine,
};

use crate::{
    drives::{Calls, Request, Streams},
    figures::{COUNTED, Figures},
    measure,
    modes::{self, Drive, Service, TURN},
    scale::service::{self, Built, Copies},
    table,
};

/// Of each service.
const TURNS: usize = 240;

const SERVER: &str = "net/http.server";
const SERVER_H2: &str = "net/http.server.h2";
const CLIENT: &str = "net/http.client";

/// False: a request hits more probes than it may, or one that is not emulated.
pub fn run() -> Result<bool> {
    machine::require_probes()?;
    measure::pin(0, 1).context("pinning the bench to processor 1")?;
    let built = Built::app("benchhttp")?;
    let copies = Copies::of_built(&built)?;
    // On the bench's own processor, which a child inherits.
    let (running, clear) = service::start(&copies.copy("upstream")?, &[])?;
    let upstream = format!("{clear},{}", modes::address(&running, "encrypted on ")?);
    let args = ["-upstream", upstream.as_str()];
    let of = |libraries, spans| Service {
        built: &built,
        args: &args,
        libraries,
        roles: &[],
        spans,
        variables: &[],
    };
    println!("{TURNS} turns of {TURN} requests to each of three services, Go {}", built.version);
    let text = |path: &str| Case::HOT[0].requests(path);
    let (served, called) = (hits(SERVER, "")?, hits(CLIENT, "over HTTP/1.1")?);
    let met = [
        measured::<Load>("server, HTTP/1.1", &of(&[SERVER], 1), &text(service::PATH), served)?,
        // The probe of HTTP/1.1 is on its way, too.
        measured::<Streams>(
            "server, HTTP/2",
            &of(&[SERVER, SERVER_H2], 1),
            &Request::get(),
            hits(SERVER_H2, "where net/http has accepted")?,
        )?,
        measured::<Calls>("client, HTTP/1.1", &of(&[CLIENT], 1), "h1", called)?,
        measured::<Calls>("client, HTTP/2", &of(&[CLIENT], 1), "h2", hits(CLIENT, "over HTTP/2")?)?,
        // Where HTTP/2 is not found by TLS, Transport asks for a connection each time: one more site on the way.
        measured::<Calls>(
            "client, HTTP/2 without TLS",
            &of(&[CLIENT], 1),
            "h2c",
            hits(CLIENT, "over HTTP/2 without TLS")?,
        )?,
        measured::<Load>(
            "server and client, HTTP/1.1",
            &of(&[SERVER, CLIENT], 2),
            &text("/chain"),
            served + called,
        )?,
    ];
    Ok(met.iter().all(|met| *met))
}

/// How many probes an operation of a library hits, in the case that begins so, by the catalog and docs/libraries.md: what is said there
/// is what is allowed here.
fn hits(id: &str, case: &str) -> Result<u64> {
    let entries = catalog::traced()?;
    let all = catalog::operations(&entries, id).iter().flat_map(|operation| &operation.hits);
    let own = all.filter(|hits| hits.when.as_deref().unwrap_or_default().starts_with(case));
    // Of several that begin alike it is the one with nothing behind that.
    let found = own.min_by_key(|hits| hits.when.as_ref().map(String::len));
    let found = found.with_context(|| format!("the catalog has no hits of {id} {case}"))?;
    Ok(found.number.into())
}

/// Measures one service; whether it hits at most so many probes per request, each of them emulated.
fn measured<D: Drive>(name: &str, service: &Service<'_>, work: &D::Work, most_hits: u64) -> Result<bool> {
    let figures = Figures::of::<D>(service, TURNS, None, work)?;
    table::print(name, &figures.turns, &figures.agent);
    match &figures.calls {
        Ok(calls) => calls::print(name, COUNTED, calls),
        Err(error) => println!("helper calls cannot be counted here: {error:#}"),
    }
    table::print_hits(name, &figures.hits);
    Ok(figures.is_within(name, &(0..=most_hits)))
}
