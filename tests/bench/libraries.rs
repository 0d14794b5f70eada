//! `scripts/bench libraries`: what one operation of each library beyond net/http costs its target, in one table.
//!
//! Each library's service is a program of its own (`tests/apps/benchlibraries`). RPCs come from the bench, and go to one more copy of
//! the service, on the bench's processor. The driver of database/sql is a fake within the service, and so is the broker of kafka-go,
//! whose connections are pipes: neither takes much time, so that what is added can be seen, and nothing has to be fetched or started.

use std::{ops::RangeInclusive, time::Duration};

use anyhow::{Context as _, Result};
use strobe_tests::{built::Recipe, golang, machine};

use crate::{
    drives::{Calls, Request, Streams},
    figures::Figures,
    measure,
    modes::{Drive, Service, TURN},
    scale::service::{self, Built, Copies},
    table,
};

/// How much is measured of each operation.
#[derive(Clone, Copy)]
pub struct Extent {
    pub turns: usize,
    /// For how long at most: on a busy machine there are fewer turns, so that the whole bench takes less than four minutes.
    pub limit: Duration,
}

pub const WHOLE: Extent = Extent { turns: 240, limit: Duration::from_secs(30) };
pub const QUICK: Extent = Extent { turns: WHOLE.turns / 5, limit: Duration::from_secs(6) };

pub const GRPC: (&str, &str) = ("google.golang.org/grpc", "v1.85.0");
const AUTO_SDK: (&str, &str) = ("go.opentelemetry.io/auto/sdk", "v1.2.1");
const OTEL: [(&str, &str); 2] =
    [("go.opentelemetry.io/otel", "v1.38.0"), ("go.opentelemetry.io/otel/trace", "v1.38.0")];
pub const KAFKA: (&str, &str) = ("github.com/segmentio/kafka-go", "v0.4.51");

const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

macro_rules! source {
    ($name:literal) => {
        ($name, include_str!(concat!("../apps/benchlibraries/", $name)))
    };
}
pub(crate) use source;
const MAIN: (&str, &str) = source!("main.go");

/// False: an operation hits other than so many probes, or one that is not emulated.
pub fn run(is_quick: bool) -> Result<bool> {
    machine::require_probes()?;
    // What is built is built on all processors.
    let grpc = build(source!("grpc.go"), &[GRPC])?;
    let sql = build(source!("sql.go"), &[])?;
    let kafka = build(source!("kafka.go"), &[KAFKA])?;
    let spans = build(source!("spans.go"), &[&[AUTO_SDK][..], &OTEL[..]].concat())?;
    measure::pin(0, 1).context("pinning the bench to processor 1")?;
    let copies = Copies::of_built(&grpc)?;
    // On the bench's own processor, which a child inherits.
    let (_upstream, address) = service::start(&copies.copy("upstream")?, &[])?;
    let address = address.to_string();
    let calling = ["-upstream", address.as_str()];

    let extent = if is_quick { QUICK } else { WHOLE };
    println!(
        "at most {} turns of {TURN} operations in each of three services, Go {}, grpc {}, kafka-go {}, Auto SDK {}",
        extent.turns, grpc.version, GRPC.1, KAFKA.1, AUTO_SDK.1
    );
    table::print_head();
    let of = |built, args, library| Service {
        built,
        args,
        libraries: library,
        roles: &[],
        spans: 1,
        variables: &[],
    };
    let rpc = Request::rpc();
    let served = of(&grpc, &[], &["google.golang.org/grpc.server"]);
    let called = of(&grpc, &calling, &["google.golang.org/grpc.client"]);
    let queried = of(&sql, &[], &["database/sql"]);
    let queued = of(&kafka, &[], &[KAFKA.0]);
    let made = of(&spans, &[], &[AUTO_SDK.0]);
    let rows = [
        row::<Streams>("gRPC server, unary", &served, extent, &rpc, 2..=3)?,
        row::<Calls>("gRPC client, unary", &called, extent, "call", 2..=4)?,
        row::<Calls>("database/sql, query", &queried, extent, "query", 2..=2)?,
        row::<Calls>("kafka-go, WriteMessages", &queued, extent, "write", 2..=6)?,
        row::<Calls>("kafka-go, FetchMessage", &queued, extent, "fetch", 2..=2)?,
        row::<Calls>("a span made by hand", &made, extent, "span", 2..=2)?,
    ];
    if let Some(error) = rows.iter().find_map(|row| row.uncounted.as_ref()) {
        println!(
            "helper calls cannot be counted here ({error}); `scripts/vm --case calls` counts those of a server"
        );
    }
    Ok(rows.iter().all(|row| row.is_met))
}

/// What is left to say of a row that has been printed.
struct Row {
    /// Whether the operation hits so many probes as it may, each of them emulated.
    is_met: bool,
    /// Why its helper calls could not be counted.
    uncounted: Option<String>,
}

/// Measures one operation, which may hit so many probes, and prints its row.
fn row<D: Drive>(
    name: &str,
    service: &Service<'_>,
    extent: Extent,
    work: &D::Work,
    hits: RangeInclusive<u64>,
) -> Result<Row> {
    let figures =
        Figures::of::<D>(service, extent.turns, Some(extent.limit), work).context(name.to_owned())?;
    table::print_row(name, &figures);
    let uncounted = figures.calls.as_ref().err().map(|error| format!("{error:#}"));
    Ok(Row { is_met: figures.is_within(name, &hits), uncounted })
}

/// Builds the service of one library.
pub fn build(source: (&str, &str), modules: &[(&str, &str)]) -> Result<Built> {
    let version = golang::go(26);
    let files = [MAIN, source];
    let recipe =
        Recipe { version, arch: HOST, mode: "exe", args: &["-ldflags=-s -w"], files: &files, modules };
    Ok(Built { version: version.to_owned(), program: recipe.build()? })
}
