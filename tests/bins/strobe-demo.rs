//! What `scripts/demo` runs: a small Go service is compiled and stripped, `analyze` shows what can be traced in it, and
//! `strobe exec` traces it while a few requests come in. Ends with the waterfall of those requests.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::client::Connection;
use strobe_tests::golang::{self, Build};
use strobe_tests::process::Running;
use strobe_tests::{machine, programs};

/// A caller's span: one of the requests says that it is part of this trace.
const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// Method, target, headers and body.
const REQUESTS: [(&str, &str, &str); 5] = [
    ("GET", "/books", ""),
    ("GET", "/books/2?format=short", ""),
    ("POST", "/orders", CALLER),
    ("GET", "/books/999", ""),
    ("GET", "/reports/2026", ""),
];

fn main() -> ExitCode {
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("demo: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<()> {
    machine::require_probes()?;
    title("A small Go service, compiled with -ldflags='-s -w': no symbols, no DWARF");
    let (version, root) = golang::installed_or_newest()?;
    let service = golang::build_with("demo", &version, &root, Build::Stripped)?;
    println!("{} (Go {version}, {} KB)", service.display(), std::fs::metadata(&service)?.len() / 1024);

    title("analyze: what can be traced in it");
    let status = Command::new(programs::path("analyze")?).arg(&service).status().context("run analyze")?;
    ensure!(status.success(), "analyze: {status}");

    title("strobe exec: the service runs, five requests come in");
    let shown = trace(&service)?;
    for (_, target, _) in REQUESTS {
        let path = target.split('?').next().unwrap_or(target);
        ensure!(shown.contains(path), "the waterfall does not show {path}");
    }
    Ok(())
}

fn title(text: &str) {
    println!("\n== {text}\n");
}

/// Runs the service under the agent, sends the requests, ends it; what the agent printed.
fn trace(service: &Path) -> Result<String> {
    let mut strobe = Command::new(programs::path("strobe")?);
    strobe.args(["exec", "--"]).arg(service);
    strobe.env("OTEL_TRACES_EXPORTER", "console").env("OTEL_SERVICE_NAME", "bookshop");
    if std::io::stdout().is_terminal() {
        strobe.env("CLICOLOR_FORCE", "1");
    }
    let mut running = Running::start(&mut strobe)?;
    let line = running.expect_stdout("listening on http://", 0)?;
    let server: SocketAddr = line.rsplit('/').next().unwrap_or_default().parse().context("address")?;
    for (method, target, parent) in REQUESTS {
        println!("{method} {target} {} {parent}", send(server, method, target, parent)?);
    }
    // The waterfall is drawn when a trace has been quiet for a moment.
    std::thread::sleep(Duration::from_millis(500));
    let status = running.terminate()?;
    ensure!(status.success(), "strobe exec ended with {status}:\n{}", running.output());
    let shown = running.stderr.text();
    println!("\n{shown}");
    Ok(shown)
}

fn send(server: SocketAddr, method: &str, target: &str, parent: &str) -> Result<u16> {
    let traceparent = if parent.is_empty() { String::new() } else { format!("traceparent: {parent}\r\n") };
    let mut connection = Connection::open(server)?;
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: strobe-demo\r\n{traceparent}");
    connection.send(format!("{head}Content-Length: 0\r\n\r\n").as_bytes())?;
    Ok(connection.receive(false)?.context("the service closed the connection")?.status)
}
