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
const REQUESTS: [(&str, &str, &str); 4] = [
    ("GET", "/books/2?format=short", ""),
    ("GET", "/books/999", ""),
    ("POST", "/orders/1", CALLER),
    ("GET", "/reports/2026", ""),
];
/// What the waterfall has to show, by the beginnings of the spans' names: a narrow terminal cuts them.
const DUE: [&str; 6] =
    ["GET /books/", "SELECT boo", "POST /orders", "take the p", "bank.Bank", "GET /reports"];
/// Columns that it needs.
const NARROWEST: u16 = 80;

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
    println!("with Go {version}; gRPC and SQLite are fetched and compiled the first time: a minute or two");
    let service = golang::build_with("demo", &version, &root, Build::Stripped)?;
    println!("{} ({} KB)", service.display(), std::fs::metadata(&service)?.len() / 1024);

    title("analyze: what can be traced in it");
    let status = Command::new(programs::path("analyze")?).arg(&service).status().context("run analyze")?;
    ensure!(status.success(), "analyze: {status}");

    title("strobe exec: the service runs, four requests come in");
    let shown = trace(&service)?;
    for due in DUE {
        ensure!(shown.contains(due), "the waterfall does not show {due}");
    }
    Ok(())
}

fn title(text: &str) {
    println!("\n== {text}\n");
}

/// Runs the service under the agent, sends the requests, ends it; what the agent printed. The bank and the courier that the service calls
/// are other processes, which nobody traces.
fn trace(service: &Path) -> Result<String> {
    let folder = tempfile::tempdir().context("a folder for the service")?;
    let partners = Running::start(Command::new(service).arg("partners").arg(folder.path()))?;
    let [bank, courier] = ["bank at ", "courier at "]
        .map(|which| Ok::<_, anyhow::Error>(last_word(&partners.expect_stdout(which, 0)?)));
    let mut strobe = Command::new(programs::path("strobe")?);
    strobe.args(["exec", "--"]).arg(service).arg("shop").arg(folder.path()).args([bank?, courier?]);
    strobe.env("OTEL_TRACES_EXPORTER", "console").env("OTEL_SERVICE_NAME", "bookshop");
    if std::io::stdout().is_terminal() {
        strobe.env("CLICOLOR_FORCE", "1");
    }
    // It writes to a pipe, and cannot know how wide the terminal is.
    if let Some(columns) = columns() {
        strobe.env("COLUMNS", columns.max(NARROWEST).to_string());
    }
    let mut running = Running::start(&mut strobe)?;
    let line = running.expect_stdout("listening on http://", 0)?;
    let server: SocketAddr = last_word(&line).trim_start_matches("http://").parse().context("address")?;
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

/// The terminal's width.
fn columns() -> Option<u16> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize to the pointer, which is valid for writes and outlives the call.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0).then_some(size.ws_col)
}

fn last_word(line: &str) -> String {
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

fn send(server: SocketAddr, method: &str, target: &str, parent: &str) -> Result<u16> {
    let traceparent = if parent.is_empty() { String::new() } else { format!("traceparent: {parent}\r\n") };
    let mut connection = Connection::open(server)?;
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: strobe-demo\r\n{traceparent}");
    connection.send(format!("{head}Content-Length: 0\r\n\r\n").as_bytes())?;
    Ok(connection.receive(false)?.context("the service closed the connection")?.status)
}
