//! The HTTP/2 servers of golang.org/x/net, in a program that has the standard library's too: each listener is one of the two's, and
//! both are asked.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;
use strobe_tests::h2;
use strobe_tests::spans::{Expected, Received};

use super::door::everything;
use super::drive::name;
use super::exchange::Exchange;
use super::harness::{self, Bench};
use super::http2::{self, check_lengths, forget_handlers_request};
use super::sources;

/// The scope of x/net's spans.
const SCOPE: &str = "strobe/golang.org/x/net/http2";

/// What gives the service's listeners to x/net.
const X_NET: (&str, &str) = ("xnet.go", include_str!("../../apps/httpserver/xnet/xnet.go"));

fn build(version: &str, modules: &[(&str, &str)]) -> Result<PathBuf> {
    let args = &["-ldflags=-s -w"];
    Recipe { version, arch: HOST, mode: "exe", args, files: &sources::with(X_NET), modules }.build()
}

const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// Which of the service's listeners is x/net's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum XNet {
    /// `http2.ConfigureServer`.
    Tls,
    /// `h2c.NewHandler`.
    Plain,
}

/// Everything over each of the listeners that speak HTTP/2, in one process.
fn traced(version: &'static str, x_net: (&str, &str), which: XNet) -> Result<()> {
    let bench = Bench::of(version, || {
        build(version, &[("golang.org/x/net", x_net.0), ("golang.org/x/text", x_net.1)])
    })?;
    let plan = analyzer::plan_file(&bench.app, &analyzer::Options::default(), &[])?;
    let has = |id: &str| plan.libraries.iter().any(|library| library.id == id);
    // With Go 1.27 the newer x/net are wrappers around net/http's.
    let wraps = !has("golang.org/x/net/http2.server");
    ensure!(has("net/http.server.h2") && (!wraps || bench.minor() >= 27), "{:?}", plan.libraries);

    let mut service = bench.service_with(&[("X_NET", if which == XNet::Tls { "tls" } else { "h2c" })])?;
    let mut agent = bench.trace_pid(&service)?;
    let tls = http2::tls(&bench, &service)?;
    let mut due = everything(bench.minor(), &tls).context("over TLS")?;
    let of_tls = due.len();
    let has_plain = which == XNet::Plain || bench.minor() >= 24;
    if has_plain {
        let mut plain = everything(bench.minor(), &http2::plain(&service)).context("without TLS")?;
        if wraps && which == XNet::Plain {
            // No probe is passed there that knows the handler's Request.
            plain.iter_mut().for_each(forget_handlers_request);
        }
        due.extend(plain);
    }
    if which == XNet::Plain {
        due.extend(upgraded(service.http)?);
    }
    let got = bench.settle(&mut agent, &due)?;
    check_lengths(&got)?;
    let of_x_net = got.iter().filter(|span: &&Received| span.scope == SCOPE).count();
    let expected = match which {
        _ if wraps => 0,
        XNet::Tls => of_tls,
        // The request that asked for the upgrade is HTTP/1.1's.
        XNet::Plain => due.len() - of_tls - 1,
    };
    ensure!(of_x_net == expected, "{of_x_net} spans of {SCOPE}, not {expected}");
    let losses = harness::losses(&agent);
    ensure!(losses.is_empty(), "counted {losses:?}:\n{}", agent.output());
    service.stop()
}

/// A request over HTTP/1.1 that asks for HTTP/2, and is then served on its first stream: two spans.
fn upgraded(server: SocketAddr) -> Result<Vec<Expected>> {
    let asks = Exchange::get("/raw/ok")
        .header("Connection", "Upgrade, HTTP2-Settings")
        .header("Upgrade", "h2c")
        .header("HTTP2-Settings", h2::HTTP2_SETTINGS);
    let named = name(server, vec![asks]);
    let asks = named.first().context("one exchange")?;
    let mut stream = TcpStream::connect(server)?;
    let port = stream.local_addr()?.port();
    stream.write_all(&asks.bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).context("the answer to an upgrade")?;
        answer.extend(byte);
    }
    ensure!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    let served = h2::Connection::upgraded(stream)?.receive(1)?;
    ensure!(served.status == Some(200), "{served:?}");
    let first = asks.clone().hijacked(Some(101)).expected(port, None);
    Ok(vec![first, asks.clone().http2().expected(port, Some(200))])
}

macro_rules! combinations {
    ($($name:ident: $go:expr, $net:literal, $text:literal;)+) => { $(
        mod $name {
            use super::*;

            #[test]
            fn configure_server() -> Result<()> { traced($go, ($net, $text), XNet::Tls) }
            #[test]
            fn h2c_new_handler() -> Result<()> { traced($go, ($net, $text), XNet::Plain) }
        }
    )+ };
}

combinations! {
    // Up to v0.17 a server that has pushed serves no further request.
    go1_22_v0_30: go(22), "v0.30.0", "v0.19.0";
    go1_24_v0_44: go(24), "v0.44.0", "v0.29.0";
    go1_26_v0_62: go(26), "v0.62.0", "v0.43.0";
    go1_27_v0_47: go(27), "v0.47.0", "v0.31.0";
    go1_27_v0_62: go(27), "v0.62.0", "v0.43.0";
}
