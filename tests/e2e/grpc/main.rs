//! gRPC, server and client in one program, stripped, under the real agent: each RPC is one span on either side, with its method, its
//! status and the parent that is due, in the oldest and the newest versions of gRPC and Go. What each has to look like is in `cases`; the
//! load is in `load`.

mod cases;
mod compare;
mod leak;
mod load;
mod places;
mod program;
mod stage;
mod trace_context;

use std::path::Path;
use std::time::Duration;

use analyzer::plan::{Code, Cost, Verdict};
use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::agent::losses;
use strobe_tests::golang::go;
use strobe_tests::profile::missing;

use cases::{MANY, SERVED};
use compare::Found;
use program::Program;
use stage::Stage;

const LIBRARIES: [&str; 2] = ["google.golang.org/grpc.server", "google.golang.org/grpc.client"];
/// How long the program may take for all cases.
const PATIENCE: Duration = Duration::from_secs(60);
fn every_rpc_is_one_span(program: Program) -> Result<()> {
    let built = program.build()?;
    let plan = analyzer::plan_file(&built, &analyzer::Options::default(), &[])?;
    for id in LIBRARIES {
        let library = plan.libraries.iter().find(|library| library.id == id).context(id)?;
        ensure!(library.verdict == Verdict::Ready, "{id}: {:?}", library.reason);
        // Only calls that fail pass the site of those.
        let hot = library.functions.iter().filter(|function| function.role != "fail");
        let mut sites = hot.flat_map(|function| &function.sites);
        ensure!(sites.all(|site| site.cost == Cost::Emulated), "{id}: {:?}", library.functions);
    }
    traced(program, &built, Known { sender: true, method: true })
}

/// What a build may lack where a profile had the client's attempts, or what sends them, copied.
const OF_ATTEMPTS: [&str; 2] = [
    "the number of an attempt's stream by one probe, which takes two otherwise",
    "the trace context in RPCs where the kernel lets probes write, and the sender of a request where one probe does not tell its stream's number",
];

/// What a build lets the agent know.
#[derive(Clone, Copy)]
struct Known {
    /// Whether a server learns of whom an RPC is that does not say so.
    sender: bool,
    /// Whether it is known of an RPC that its server does not have the method.
    method: bool,
}

fn traced(program: Program, built: &Path, known: Known) -> Result<()> {
    let mut stage = Stage::new(built, &[], &[])?;
    let mut due = cases::due(&stage.places);
    for due in due.iter_mut().filter(|due| !known.sender && due.parent == cases::Parent::Caller) {
        due.parent = cases::Parent::Nobody;
    }
    due.iter_mut().filter(|_| !known.method).for_each(cases::Due::is_as_asked);
    let spans = stage.run(due.len() + 2 * MANY + SERVED + 1, PATIENCE)?;
    let mut wrong = Found::new(spans).differing(&due);
    let lost = losses(&stage.agent);
    if !lost.is_empty() {
        wrong.push(format!("lost: {lost:?}"));
    }
    ensure!(
        wrong.is_empty(),
        "{program:?}: {} differ:\n{}\n{}",
        wrong.len(),
        wrong.join("\n"),
        stage.agent.output()
    );
    stage.stop()
}

macro_rules! versions {
    ($($name:ident: $go:expr, $grpc:literal;)+) => { $(
        #[test]
        fn $name() -> Result<()> { every_rpc_is_one_span(Program { go: $go, grpc: $grpc }) }
    )+ };
}

versions! {
    go1_22_v1_40: go(22), "v1.40.0";
    go1_22_v1_60: go(22), "v1.60.0";
    go1_24_v1_69: go(24), "v1.69.0";
    go1_26_v1_53: go(26), "v1.53.0";
    go1_26_v1_77: go(26), "v1.77.0";
    go1_26_v1_85: go(26), "v1.85.0";
    go1_27_v1_85: go(27), "v1.85.0";
}

/// What a profile of real load has inlined is traced all the same.
#[test]
fn a_build_with_the_profile_of_its_load() -> Result<()> {
    let program = Program { go: go(26), grpc: "v1.85.0" };
    let built = program.build_guided()?;
    let plan = analyzer::plan_file(&built, &analyzer::Options::default(), &[])?;
    let mut known = Known { sender: true, method: true };
    for id in LIBRARIES {
        let library = plan.libraries.iter().find(|library| library.id == id).context(id)?;
        // Where the samples fall is chance: the writer's functions may be copied into its loop, and those that make an attempt into one another.
        let missing = missing(library);
        let is_all = missing.iter().all(|loses| OF_ATTEMPTS.contains(loses));
        ensure!(library.verdict != Verdict::Refused && is_all, "{id}: {:?}", library.reason);
        let has = |role: &str| library.functions.iter().any(|function| function.role == role);
        let is_client = id == LIBRARIES[1];
        known.sender &= !is_client || has("number") || has("fields") && has("send");
        // Or `WriteStatus` is not copied into `handleStream`, and who calls it cannot be told.
        known.method &= library.findings.iter().all(|finding| finding.code != Code::NoCaller);
    }
    traced(program, &built, known)
}

/// Where it copies what makes an RPC's attempts into what makes the RPC, every RPC is traced all the same, those that fail before they have a stream
/// included.
#[test]
fn a_build_with_the_attempts_copied() -> Result<()> {
    for program in [Program { go: go(26), grpc: "v1.85.0" }, Program { go: go(22), grpc: "v1.40.0" }] {
        let built = program.build_with_copied_attempts()?;
        let plan = analyzer::plan_file(&built, &analyzer::Options::default(), &[])?;
        let client =
            plan.libraries.iter().find(|library| library.id == LIBRARIES[1]).context(LIBRARIES[1])?;
        ensure!(client.verdict == Verdict::Ready, "{program:?}: {:?}", client.reason);
        client.functions.iter().find(|function| function.role == "fail").context("fail")?;
        traced(program, &built, Known { sender: true, method: true })?;
    }
    Ok(())
}

/// A call that credentials or a stats handler make while another one is being made is not taken for that one, and that one has its span, its sender and
/// its own failure; the next call at the address of the failed one's stream is its own, too.
#[test]
fn a_call_within_another_is_not_the_other() -> Result<()> {
    for (program, code) in [
        (Program { go: go(26), grpc: "v1.85.0" }, "UNAUTHENTICATED"),
        (Program { go: go(24), grpc: "v1.69.0" }, "UNAUTHENTICATED"),
        (Program { go: go(22), grpc: "v1.40.0" }, "INTERNAL"),
    ] {
        let mut stage = Stage::new(&program.build()?, &[("WITHIN", "1")], &[])?;
        let due = cases::within(stage.places.plain.port(), code);
        let spans = stage.run(due.len() + 1, PATIENCE)?;
        let wrong = Found::new(spans).differing_alone(&due);
        ensure!(wrong.is_empty(), "{program:?}: {wrong:#?}\n{}", stage.agent.output());
        let lost = losses(&stage.agent);
        ensure!(lost.is_empty(), "{program:?}: {lost:?}\n{}", stage.agent.output());
        stage.stop()?;
    }
    Ok(())
}

/// Nothing of Go's runtime, its scheduler or its channels, is probed, which other agents' servers lose most of their throughput by.
#[test]
fn nothing_of_the_runtime_is_probed() -> Result<()> {
    for grpc in ["v1.40.0", "v1.85.0"] {
        let built = Program { go: if grpc == "v1.40.0" { go(22) } else { go(27) }, grpc }.build()?;
        let plan = analyzer::plan_file(&built, &analyzer::Options::default(), &[])?;
        for id in LIBRARIES {
            plan.libraries.iter().find(|library| library.id == id).context(id)?;
        }
        let all = plan.libraries.iter().flat_map(|library| &library.functions);
        let probed: Vec<&str> = all
            .filter(|function| !function.sites.is_empty())
            .map(|function| function.name.as_str())
            .collect();
        let is_runtime = |name: &&&str| name.starts_with("runtime.") || name.starts_with("internal/runtime");
        let of_runtime: Vec<&&str> = probed.iter().filter(is_runtime).collect();
        ensure!(probed.len() > 5 && of_runtime.is_empty(), "{grpc}: {of_runtime:?} of {probed:?}");
    }
    Ok(())
}

/// Each side is switched off alone.
#[test]
fn each_side_can_be_switched_off() -> Result<()> {
    let program = Program { go: go(26), grpc: "v1.85.0" };
    for (off, kind) in [("SERVER", SpanKind::Server), ("CLIENT", SpanKind::Client)] {
        let variable = format!("OTEL_GO_AUTO_TRACES_GOOGLE_GOLANG_ORG_GRPC_{off}_INSTRUMENTATION_ENABLED");
        let mut stage = Stage::new(&program.build()?, &[], &[(&variable, "false")])?;
        let due = cases::due(&stage.places).len() / 2;
        let found = Found::new(stage.run(due + MANY, PATIENCE)?);
        let other = if kind == SpanKind::Server { SpanKind::Client } else { SpanKind::Server };
        let there = [kind, other].map(|kind| found.of(kind, "strobe.Test/ok").len());
        ensure!(there == [0, 1], "without {off}: {there:?}\n{}", stage.agent.output());
        stage.stop()?;
    }
    Ok(())
}
