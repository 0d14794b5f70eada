//! `scripts/bench propagation`: what it costs either end that a trace goes on from service to service, beside the same without, in one table.
//!
//! A server without clients has nothing to look up while nobody sends; the others send, or look up and find nobody: the bench's own requests
//! come from a program that is not traced.

use anyhow::{Context as _, Result};
use strobe_tests::{
    load::{Case, Load},
    machine,
};

use crate::{
    drives::{Calls, Request, Streams},
    figures::Figures,
    libraries::{self, GRPC, KAFKA, QUICK, WHOLE},
    measure,
    modes::{self, Drive, Service, TURN},
    scale::service::{self, Built, Copies},
    table,
};

const SERVER: &str = "net/http.server";
const CLIENT: &str = "net/http.client";

/// Measures each operation with propagation switched off, and as it is by default.
pub fn run(is_quick: bool) -> Result<()> {
    machine::require_probes()?;
    let extent = if is_quick { QUICK } else { WHOLE };
    let grpc = libraries::build(libraries::source!("grpc.go"), &[GRPC])?;
    let kafka = libraries::build(libraries::source!("kafka.go"), &[KAFKA])?;
    measure::pin(0, 1).context("pinning the bench to processor 1")?;
    let http = Built::app("benchhttp")?;
    let copies = Copies::of_built(&http)?;
    // On the bench's own processor, which a child inherits.
    let (running, clear) = service::start(&copies.copy("upstream")?, &[])?;
    let upstream = format!("{clear},{}", modes::address(&running, "encrypted on ")?);
    let calling = ["-upstream", upstream.as_str()];
    let rpc_copies = Copies::of_built(&grpc)?;
    let (_upstream, rpcs) = service::start(&rpc_copies.copy("upstream")?, &[])?;
    let rpcs = rpcs.to_string();
    let rpcs = ["-upstream", rpcs.as_str()];
    println!(
        "at most {} turns of {TURN} requests in each of three services, Go {}",
        extent.turns, http.version
    );
    table::print_head();
    for how in ["off", "auto"] {
        let variables = [("STROBE_PROPAGATION", how)];
        let of = |built, args, libraries, spans| Service {
            built,
            args,
            libraries,
            roles: &[],
            spans,
            variables: &variables,
        };
        let text = |path: &str| Case::HOT[0].requests(path);
        let row = |name: &str| format!("{name}, {how}");
        let served = of(&http, &[], &[SERVER], 1);
        let called = of(&http, &calling, &[CLIENT], 1);
        let both = of(&http, &calling, &[SERVER, CLIENT], 2);
        let rpc = of(&grpc, &rpcs, &["google.golang.org/grpc.client"], 1);
        let queued = of(&kafka, &[], &[KAFKA.0], 1);
        let rpc_served = of(&grpc, &[], &["google.golang.org/grpc.server"], 1);
        measured::<Load>(&row("HTTP/1.1 server"), &served, extent, &text(service::PATH))?;
        measured::<Calls>(&row("HTTP/1.1 client"), &called, extent, "h1")?;
        measured::<Calls>(&row("HTTP/2 client"), &called, extent, "h2")?;
        measured::<Load>(&row("HTTP/1.1, both"), &both, extent, &text("/chain"))?;
        measured::<Streams>(&row("gRPC server"), &rpc_served, extent, &Request::rpc())?;
        measured::<Calls>(&row("gRPC client"), &rpc, extent, "call")?;
        measured::<Calls>(&row("kafka-go, write"), &queued, extent, "write")?;
    }
    Ok(())
}

fn measured<D: Drive>(
    name: &str,
    service: &Service<'_>,
    extent: libraries::Extent,
    work: &D::Work,
) -> Result<()> {
    let figures =
        Figures::of::<D>(service, extent.turns, Some(extent.limit), work).context(name.to_owned())?;
    table::print_row(name, &figures);
    Ok(())
}
