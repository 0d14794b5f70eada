//! Privileges are tried: exactly the documented ones do, and each that is missing is named.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::client::Connection;
use strobe_tests::collector::Collector;
use strobe_tests::process::{PATIENCE, Running};
use strobe_tests::{machine, programs};

use super::harness::{app, clean, strobe};

/// Nobody, of every distribution.
const NOBODY: &str = "65534";

/// A copy of strobe that everybody may execute.
fn copy_of_strobe(folder: &Path) -> Result<std::path::PathBuf> {
    let program = folder.join("strobe");
    machine::copy_program(&programs::path("strobe")?, &program)?;
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(program)
}

/// Runs a program as nobody with these capabilities and no others.
fn as_nobody(program: &Path, capabilities: &[String]) -> Command {
    let listed: Vec<String> = capabilities
        .iter()
        .map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect();
    let set = [vec!["-all".to_owned()], listed].concat().join(",");
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}")).arg("--clear-groups");
    for kind in ["inh-caps", "ambient-caps", "bounding-set"] {
        command.arg(format!("--{kind}={set}"));
    }
    command.arg("--").arg(program);
    clean(&mut command);
    command
}

/// A line of `strobe features --json`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "each key has to be there, and is shown when a test fails")]
struct Feature {
    name: String,
    available: bool,
    required: bool,
    detail: String,
    without: String,
}

/// The status of `strobe features`, and what it says.
fn features(command: &mut Command) -> Result<(Option<i32>, Vec<Feature>)> {
    let mut running = Running::start(command.args(["features", "--json"]))?;
    // It loads all programs, which takes the verifier a while on a busy machine.
    let status = running.wait(2 * PATIENCE)?;
    let lines = running.stdout.all();
    let features = lines.iter().map(|line| serde_json::from_str(line).with_context(|| line.clone()));
    let features: Vec<Feature> = features.collect::<Result<_>>()?;
    ensure!(!features.is_empty(), "{}", running.output());
    Ok((status.code(), features))
}

/// What `features` says that this version of Linux wants.
fn documented() -> Result<Vec<String>> {
    let (_, features) = features(&mut strobe(&[])?)?;
    let line = features.into_iter().find(|feature| feature.name == "capabilities");
    let detail = line.context("no line about capabilities")?.detail;
    let (_, wanted) = detail.split_once(" wants ").with_context(|| detail.clone())?;
    Ok(wanted.split([',', ' ']).filter(|word| word.starts_with("CAP_")).map(str::to_owned).collect())
}

#[test]
fn features_tries_all_that_tracing_does() -> Result<()> {
    machine::require_probes()?;
    let (status, features) = features(&mut strobe(&[])?)?;
    ensure!(status == Some(0), "{features:#?}");
    for name in ["uprobes", "programs", "attaching", "other processes", "leases", "BTF", "process ids"] {
        let found = features.iter().find(|feature| feature.name == name).with_context(|| name.to_owned())?;
        ensure!(found.available, "{found:?}");
    }
    Ok(())
}

#[test]
fn exactly_the_documented_capabilities_do() -> Result<()> {
    let (folder, app) = app("signals")?;
    let program = copy_of_strobe(folder.path())?;
    let (status, features) = features(&mut as_nobody(&program, &documented()?))?;
    ensure!(status == Some(0), "{features:#?}");
    let service = Running::start(&mut Command::new(&app))?;
    let line = service.expect_stdout("listening on http://", 0)?;
    let address = line.rsplit('/').next().unwrap_or_default().parse().context("address")?;
    let collector = Collector::start()?;
    let mut agent = as_nobody(&program, &documented()?);
    agent.args(["run", "--pid", &service.pid().to_string()]);
    agent.env("OTEL_TRACES_EXPORTER", "otlp").env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint());
    let mut agent = Running::start(&mut agent)?;
    agent.expect_stderr(&format!("tracing pid {} ", service.pid()), 0)?;
    for _ in 0..10 {
        let mut connection = Connection::open(address)?;
        connection.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        connection.receive(false)?.context("no answer")?;
    }
    let came = collector.wait_for(10, Duration::from_secs(15));
    let status = agent.terminate()?;
    ensure!(status.success() && came == 10, "{came} spans, {status}: {}", agent.output());
    Ok(())
}

/// They do not do for a file's lease and a process's environment: that is said, once, however often the program is started.
#[test]
fn what_the_documented_capabilities_do_not_do_for_is_said_once() -> Result<()> {
    let (folder, app) = app("signals")?;
    let program = copy_of_strobe(folder.path())?;
    let mut agent = as_nobody(&program, &documented()?);
    agent.env("OTEL_LOG_LEVEL", "debug");
    let mut agent = Running::start(agent.arg("run").arg("--exe").arg(&app))?;
    agent.expect_stderr("waiting for a process", 0)?;
    for start in 0..2 {
        let service = Running::start(&mut Command::new(&app))?;
        agent.expect_stderr(&format!("tracing pid {} ", service.pid()), 0)?;
        drop(service);
        agent.expect_stderr("its probes are gone", start)?;
    }
    ensure!(agent.terminate()?.success(), "{}", agent.output());
    let said = agent.stderr.text();
    for what in ["CAP_DAC_READ_SEARCH", "no lease on it"] {
        ensure!(said.matches(what).count() == 1, "{what}: {said}");
    }
    Ok(())
}

/// Of somebody else's process, with one capability less each time.
#[test]
fn each_missing_capability_is_named() -> Result<()> {
    let (folder, app) = app("signals")?;
    let program = copy_of_strobe(folder.path())?;
    let service = Running::start(&mut Command::new(&app))?;
    service.expect_stdout("ready", 0)?;
    let (pid, path) = (service.pid().to_string(), app.to_str().context("path")?);
    let documented = documented()?;
    // Uprobes wanted CAP_PERFMON before they wanted CAP_SYS_ADMIN: who has all that was wanted then is told the new name.
    let before: Vec<String> = ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE"].map(str::to_owned).to_vec();
    let mut cases = vec![];
    if documented.contains(&"CAP_SYS_ADMIN".to_owned()) {
        cases.push(("CAP_SYS_ADMIN".to_owned(), before));
    }
    for name in &documented {
        cases.push((name.clone(), documented.iter().filter(|other| *other != name).cloned().collect()));
    }
    for (name, capabilities) in cases {
        for target in [["--pid", &pid], ["--exe", path]] {
            let mut command = as_nobody(&program, &capabilities);
            let mut running = Running::start(command.arg("run").args(target))?;
            let status = running.wait(PATIENCE)?;
            let said = running.stderr.all();
            ensure!(status.code() == Some(3), "{target:?} with {capabilities:?}: {status}: {said:#?}");
            let last = said.last().cloned().unwrap_or_default();
            ensure!(last.contains(&format!("the capability {name} is missing")), "without {name}: {last}");
        }
    }
    Ok(())
}

/// One's own process can be looked at without CAP_SYS_PTRACE.
#[test]
fn ones_own_process_needs_no_cap_sys_ptrace() -> Result<()> {
    let (folder, app) = app("signals")?;
    let program = copy_of_strobe(folder.path())?;
    let service = Running::start(&mut as_nobody(&app, &[]))?;
    service.expect_stdout("ready", 0)?;
    let without: Vec<String> = documented()?.into_iter().filter(|name| name != "CAP_SYS_PTRACE").collect();
    let mut command = as_nobody(&program, &without);
    let mut agent = Running::start(command.args(["run", "--pid", &service.pid().to_string()]))?;
    agent.expect_stderr(&format!("tracing pid {} ", service.pid()), 0)?;
    ensure!(agent.terminate()?.success(), "{}", agent.output());
    Ok(())
}

/// `exec` needs no look at others' processes, and without privileges the command runs all the same.
#[test]
fn exec_without_privileges_names_them_and_starts_the_command() -> Result<()> {
    let (folder, app) = app("httpserver")?;
    let program = copy_of_strobe(folder.path())?;
    let app = app.to_str().context("path")?;
    let run = |capabilities: &[String], flags: &[&str]| -> Result<(Option<i32>, String)> {
        let mut command = as_nobody(&program, capabilities);
        let mut running =
            Running::start(command.arg("exec").args(flags).args(["--", app, "-now", "-exit", "7"]))?;
        Ok((running.wait(PATIENCE)?.code(), running.stderr.text()))
    };
    let (status, said) = run(&[], &[])?;
    ensure!(
        status == Some(7) && said.contains("starting it untraced: the capability CAP_"),
        "{status:?}: {said}"
    );
    let (status, said) = run(&[], &["--strict"])?;
    ensure!(status == Some(125) && said.contains("the capability CAP_"), "{status:?}: {said}");
    let without_ptrace: Vec<String> =
        documented()?.into_iter().filter(|name| name != "CAP_SYS_PTRACE").collect();
    let (status, said) = run(&without_ptrace, &["--strict"])?;
    ensure!(status == Some(7), "{status:?}: {said}");
    Ok(())
}

/// strobe is gone as soon as it has become the command: what it has to say comes before, however busy the machine is.
#[test]
fn a_command_is_never_started_untraced_in_silence() -> Result<()> {
    let (folder, _app) = app("signals")?;
    let program = copy_of_strobe(folder.path())?;
    let start = || Running::start(as_nobody(&program, &[]).args(["exec", "--", "true"]));
    for _ in 0..10 {
        let all: Vec<Running> = (0..20).map(|_| start()).collect::<Result<_>>()?;
        for mut running in all {
            let status = running.wait(PATIENCE)?;
            let said = running.stderr.text();
            ensure!(status.success() && said.contains("starting it untraced: "), "{status}: {said:?}");
        }
    }
    Ok(())
}
