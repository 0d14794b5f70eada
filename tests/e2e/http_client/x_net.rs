//! The HTTP/2 client of golang.org/x/net, in a program that has the standard library's too: within net/http's Transport
//! (`http2.ConfigureTransport`), and alone, with TLS and without. Each round trip is one span, whichever of the two's it is.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use analyzer::plan::{Code, Library, Verdict};
use anyhow::{Context, Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::golang::go;
use strobe_tests::process::Running;
use strobe_tests::profile::missing;

use super::Stage;
use super::cases::{self, Due};
use super::places::Places;
use super::x_net_cases::{HOST, Versions, X_NET, X_NET_1_26, differing, due, due_count};

const ID: &str = "golang.org/x/net/http2.client";
fn every_round_trip_is_one_span(versions: Versions) -> Result<()> {
    let built = versions.build()?;
    let library = library(&built)?;
    ensure!(library.is_some() != versions.wraps(), "{ID} is there: {library:?}");
    traced(versions, &built)
}

/// What the Plan says of it.
fn library(built: &Path) -> Result<Option<Library>> {
    let plan = analyzer::plan_file(built, &analyzer::Options::default(), &[])?;
    Ok(plan.libraries.into_iter().find(|library| library.id == ID))
}

/// Runs all cases of a program, and holds their spans against what is due.
fn traced(versions: Versions, built: &Path) -> Result<()> {
    let mut stage = Stage::of(built, Places::with_h2c, &[], &[])?;
    let found = stage.run(due_count(versions, &stage.places)?)?;
    let wrong = differing(versions, &stage.places, &found, &losses(&stage.agent))?;
    ensure!(wrong.is_empty(), "{} differ: {}\n{}", wrong.len(), wrong.join("\n"), stage.agent.output());
    stage.stop()
}

macro_rules! versions {
    ($($name:ident: $go:expr, $net:literal, $text:literal;)+) => { $(
        #[test]
        fn $name() -> Result<()> {
            every_round_trip_is_one_span(Versions { go: $go, net: $net, text: $text })
        }
    )+ };
}

versions! {
    go1_22_v0_30: go(22), "v0.30.0", "v0.19.0";
    go1_24_v0_37: go(24), "v0.37.0", "v0.23.0";
    go1_24_v0_44: go(24), "v0.44.0", "v0.29.0";
    go1_26_v0_17: go(26), "v0.17.0", "v0.13.0";
    go1_26_v0_44: go(26), "v0.44.0", "v0.29.0";
    go1_26_v0_62: go(26), "v0.62.0", "v0.43.0";
    go1_27_v0_44: go(27), "v0.44.0", "v0.29.0";
    go1_27_v0_62: go(27), "v0.62.0", "v0.43.0";
}

/// A build with the profile of a load by x/net's Transport alone has mostly RoundTripOpt copied into RoundTrip, and the pool called by name.
/// Where its samples fall is chance: what is inlined is not the same each time, and each round trip is one span each time, or the library is
/// refused with its reason.
#[test]
fn a_build_with_the_profile_of_a_load() -> Result<()> {
    let all =
        [(go(24), "v0.44.0", "v0.29.0"), (go(27), "v0.44.0", "v0.29.0"), (go(26), "v0.62.0", "v0.43.0")];
    for (go, net, text) in all {
        let versions = Versions { go, net, text };
        let folder = tempfile::tempdir().context("a folder for the profile")?;
        let profile = folder.path().join("cpu.pprof");
        let mut loaded = Running::start(Command::new(versions.build()?).arg("-cpuprofile").arg(&profile))?;
        let status = loaded.wait(Duration::from_secs(60))?;
        ensure!(status.success(), "{status}: {}", loaded.output());
        let guided = format!("-pgo={}", profile.display());
        let built = versions.build_with(HOST, &["-ldflags=-s -w", &guided])?;
        let library = library(&built)?.with_context(|| format!("{ID} is not there"))?;
        println!("Go {go}, x/net {net}: {:?} {:?}", library.verdict, library.reason);
        // From v0.54 on what RoundTripOpt does is in a function whose callee can be copied along: that has no site, and is named.
        let is_named = || library.findings.iter().any(|finding| finding.code == Code::Inlined);
        let may_be_refused = net == "v0.62.0" && library.verdict == Verdict::Refused && is_named();
        let is_traced = library.verdict != Verdict::Refused && missing(&library).is_empty();
        ensure!(is_traced || may_be_refused, "{library:?}");
        let traced = if is_traced { traced(versions, &built) } else { Ok(()) };
        let traced = traced.with_context(|| format!("Go {go}, x/net {net}"));
        fs::remove_file(&built).context("a build that nobody makes again")?;
        traced?;
    }
    Ok(())
}

/// Without net/http's client the calls within its Transport are x/net's: each is one span still, though x/net is asked twice by the
/// one that opens a connection.
#[test]
fn calls_within_net_https_transport_without_its_client() -> Result<()> {
    let off = [("OTEL_GO_AUTO_TRACES_NET_HTTP_CLIENT_INSTRUMENTATION_ENABLED", "false")];
    let mut stage = Stage::of(&X_NET_1_26.build()?, Places::with_h2c, &[], &off)?;
    let [within, alone] = due(&stage.places)?;
    // What does not reach x/net has no span: HTTP/1.1, and who gets no connection.
    let not_x_nets = ["x-within-plain", "x-within-refused"];
    let within: Vec<Due> = within.into_iter().filter(|due| !not_x_nets.contains(&due.case())).collect();
    let found = stage.run(within.len() + alone.len())?;
    let mut wrong = cases::differing(within, &found, Some(X_NET));
    wrong.extend(cases::differing(alone, &found, Some(X_NET)));
    let others = ["get", "h2-first", "x-within-http1", "x-within-plain", "x-within-refused"];
    wrong.extend(
        others.iter().filter(|case| !found.call(case).is_empty()).map(|case| format!("{case} has a span")),
    );
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), stage.agent.output());
    stage.stop()
}

/// More calls at once than there is room for. Those that find none have no span, which is counted, and nothing is told of them by the
/// entries of others: each goroutine has one of net/http's client open then, whose call has sent nothing and has the same header. Calls
/// within net/http's Transport take no room of x/net's.
#[test]
fn what_finds_no_room_is_counted_and_nobodys() -> Result<()> {
    const AT_ONCE: usize = 640;
    let small =
        [("STROBE_MAX_IN_FLIGHT", "1024"), ("OTEL_GO_AUTO_TRACES_SERVER_INSTRUMENTATION_ENABLED", "false")];
    let own = [("AT_ONCE", &*AT_ONCE.to_string())];
    let mut stage = Stage::of(&X_NET_1_26.build()?, Places::with_h2c, &own, &small)?;
    let found = stage.run(AT_ONCE)?;
    let lost = losses(&stage.agent);
    let spans =
        |kind: &str| (0..AT_ONCE).filter(|n| found.call(&format!("x-held-{kind}-{n}")).len() == 1).count();
    let name = |library: &str| lost.get(&format!("{library}.lost.in_flight_full")).copied().unwrap_or(0);
    let no_room = usize::try_from(name("x_net_http2_client"))?;
    ensure!(no_room >= AT_ONCE - 512, "{no_room} found no room");
    let clear = spans("clear");
    ensure!(clear + no_room == AT_ONCE, "{clear} spans, and {no_room} found no room: {lost:?}");
    ensure!(spans("within") == AT_ONCE, "{} spans within net/http's", spans("within"));
    let mut wrong = Vec::new();
    for n in 0..AT_ONCE {
        if !found.call(&format!("x-held-first-{n}")).is_empty() {
            wrong.push(format!("x-held-first-{n}: nothing was sent"));
        }
        let case = format!("x-held-clear-{n}");
        if !found.call(&case).is_empty() {
            let url = format!("http://{}/case/{case}", stage.places.h2c.context("h2c")?);
            wrong.extend(cases::differing(vec![Due::new(&case, url).h2()], &found, Some(X_NET)));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    stage.stop()
}
