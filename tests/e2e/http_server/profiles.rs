//! Builds guided by profiles, which inline what the probes are usually at.

use std::fs;
use std::process::Command;
use std::time::Duration;

use analyzer::plan::Code;
use anyhow::{Context, Result, ensure};
use strobe_tests::agent::Service;
use strobe_tests::golang::{self, Build, go};
use strobe_tests::load::{Case, Load};
use strobe_tests::machine;
use strobe_tests::process::Running;

use super::exchange::{Answer, Exchange};
use super::harness::{self, Bench};
use super::http2::{self, forget_handlers_request};
use super::{CONNECTIONS, ROUNDS, drive::drive, kinds, over_http2, over_tls};

/// A profile-guided build in which `serverHandler.ServeHTTP` is inlined: a span begins when its request has been read. So a
/// request that is refused with 417 has one too, and over HTTP/2 Go 1.27's has no route.
#[test]
fn a_profiled_build() -> Result<()> {
    profiled(Bench::new(go(26), Build::Profiled)?, "")
}

/// One in which `finishRequest` is inlined too: a span ends at the call that each copy of its body has.
#[test]
fn a_profiled_build_without_finish_request() -> Result<()> {
    for version in golang::few([go(27), go(26), go(24)]) {
        profiled(Bench::new(version, Build::Loaded)?, "net/http.(*response).finishRequest")
            .with_context(|| format!("Go {version}"))?;
    }
    Ok(())
}

/// A build with the profile of a load, as people make them. Where its samples fall is chance: what is inlined is not the same each
/// time, and everything is traced each time.
#[test]
fn a_build_with_the_profile_of_a_load() -> Result<()> {
    for version in golang::few([go(26), go(27), go(24)]) {
        let bench = guided(version, |_, service| {
            let requests = Case::HOT[0].requests("/plain");
            Load::open(service.http, "/plain")?.run_paced(20_000, Duration::from_secs(4), &requests)?;
            Ok(())
        })?;
        traced(&bench).with_context(|| format!("Go {version}"))?;
    }
    Ok(())
}

/// The same of a load over HTTP/2.
#[test]
fn a_build_with_the_profile_of_a_load_over_http2() -> Result<()> {
    for version in golang::few([go(26), go(27), go(24)]) {
        let bench = guided(version, load_over_http2)?;
        let over_both = || {
            traced(&bench)?;
            let plan = analyzer::plan_file(&bench.app, &analyzer::Options::default(), &[])?;
            let h2 = plan.libraries.iter().find(|l| l.id == "net/http.server.h2");
            let h2 = h2.context("net/http.server.h2")?;
            ensure!(h2.verdict == analyzer::plan::Verdict::Ready, "{:?}", h2.reason);
            http2::traced(&bench, !begins_behind_read(&bench)? || bench.minor() < 27, http2::tls)
        };
        over_both().with_context(|| format!("Go {version}"))?;
    }
    Ok(())
}

/// Two clients, each with a connection of its own.
fn load_over_http2(bench: &Bench, service: &Service) -> Result<()> {
    const REQUESTS: &str = "20000";
    let program = bench.folder.path().join("client");
    machine::copy_program(&bench.app, &program)?;
    let url = format!("{}/plain", service.https);
    let get = || Running::start(Command::new(&program).args(["get", "-n", REQUESTS, &url]));
    for mut client in [get()?, get()?] {
        let status = client.wait(Duration::from_secs(120))?;
        let answers = client.stdout.all();
        ensure!(status.success() && answers.iter().all(|answer| answer == "HTTP/2.0 200"), "{answers:?}");
    }
    Ok(())
}

/// A build with the CPU profile of a service under this load.
fn guided(version: &'static str, load: impl Fn(&Bench, &Service) -> Result<()>) -> Result<Bench> {
    let mut bench = Bench::new(version, Build::Plain)?;
    let profile = bench.folder.path().join("cpu.pprof");
    let mut command = Command::new(&bench.app);
    let running = Running::start(command.arg("-tls").arg("-cpuprofile").arg(&profile))?;
    let mut loaded = Service::started(running, 0)?;
    load(&bench, &loaded)?;
    loaded.stop()?;
    ensure!(fs::metadata(&profile).context("the profile")?.len() > 1_000, "nothing was sampled");
    bench.app = bench.folder.path().join("guided");
    golang::build_guided("httpserver", version, &profile, &bench.app)?;
    Ok(bench)
}

/// A build of which the end has its site in copies of this function.
fn profiled(bench: Bench, inlined: &str) -> Result<()> {
    let plan = analyzer::plan_file(&bench.app, &analyzer::Options::default(), &[])?;
    let library = plan.libraries.iter().find(|l| l.id == "net/http.server").context("net/http.server")?;
    let role = |role: &'static str| library.functions.iter().filter(move |f| f.role == role);
    let start = role("start").next().context("no start")?;
    ensure!(start.name == "net/http.(*conn).serve", "ServeHTTP was not inlined: start is in {}", start.name);
    let copies = role("end").map(|end| end.inlined.as_deref().unwrap_or_default());
    ensure!(
        copies.clone().any(|of| of == inlined),
        "the end is in copies of {:?}",
        copies.collect::<Vec<_>>()
    );
    let mut sites = role("start").chain(role("end")).flat_map(|f| &f.sites);
    ensure!(sites.all(|s| s.cost == analyzer::plan::Cost::Emulated), "{:?}", library.functions);
    ensure!(library.reason.as_deref().is_some_and(|r| r.contains("417")), "{:?}", library.reason);
    traced(&bench)
}

/// Whether a span begins when its request has been read: then one that is refused with 417 (Expect) has a span, too.
fn begins_behind_read(bench: &Bench) -> Result<bool> {
    let plan = analyzer::plan_file(&bench.app, &analyzer::Options::default(), &[])?;
    let mut functions =
        plan.libraries.iter().filter(|l| l.id == "net/http.server").flat_map(|l| &l.functions);
    Ok(functions.any(|f| f.role == "start" && f.name == "net/http.(*conn).serve"))
}

/// Everything.
fn traced(bench: &Bench) -> Result<()> {
    let plan = analyzer::plan_file(&bench.app, &analyzer::Options::default(), &[])?;
    let library = plan.libraries.iter().find(|l| l.id == "net/http.server").context("net/http.server")?;
    ensure!(library.verdict != analyzer::plan::Verdict::Refused, "{:?}", library.reason);
    let behind_read = begins_behind_read(bench)?;
    // A profile may have nothing left of its look-up but inlined copies, or have inlined that into what calls it: that is said.
    let mux = plan.libraries.iter().find(|l| l.id == "net/http.servemux").context("net/http.servemux")?;
    let is_inlined = mux.findings.iter().any(|finding| finding.code == Code::Inlined);
    ensure!(mux.verdict == analyzer::plan::Verdict::Ready || is_inlined, "{:?}", mux.reason);

    let mut service = bench.service()?;
    let mut agent = bench.trace_pid(&service)?;
    let refused = |e: Exchange| if behind_read && e.answer == Answer::Status(417) { e.traced() } else { e };
    let kinds = |round| kinds::all(bench.minor(), round).into_iter().map(refused).collect::<Vec<_>>();
    let mut due = drive(service.http, (0..ROUNDS).flat_map(kinds).collect(), CONNECTIONS)?;
    due.extend(drive(service.http, kinds::panics(bench.minor()), CONNECTIONS)?);
    due.extend(over_tls(bench, &service)?);
    let mut http2 = over_http2(bench, &service)?;
    if behind_read && bench.minor() >= 27 {
        http2.iter_mut().for_each(forget_handlers_request);
    }
    due.extend(http2);
    due.extend(drive(service.http, kinds(ROUNDS), 1)?);
    bench.settle(&mut agent, &due)?;
    let losses = harness::losses(&agent);
    ensure!(losses.is_empty(), "counted {losses:?}:\n{}", agent.output());
    service.stop()
}
