//! The HTTP/2 client of golang.org/x/net, in a program that has the standard library's too: within net/http's Transport
//! (`http2.ConfigureTransport`), and alone, with TLS and without. Each round trip is one span, whichever of the two's it is.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::built::Recipe;
use strobe_tests::golang::{self, go};

use super::Stage;
use super::cases::{self, Due, MANY};
use super::found::Found;
use super::parents;
use super::places::Places;

const ID: &str = "golang.org/x/net/http2.client";
/// The scopes of both libraries' spans.
const NET_HTTP: &str = "strobe/net/http";
const X_NET: &str = "strobe/golang.org/x/net/http2";
/// Fresh goroutines, each with a call of either kind.
const TOGETHER: usize = 256;

macro_rules! sources {
    ($($name:literal)+) => { &[$(($name, include_str!(concat!("../../apps/httpclient/", $name)))),+] };
}

/// The program of all these tests, and what makes calls with x/net.
const SOURCES: &[(&str, &str)] = sources!(
    "cases.go" "load.go" "main.go" "parents.go" "tls.go" "without_go121.go" "without_old.go" "xnet/xnet.go"
);

const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// A Go version, and those of golang.org/x/net and /text.
#[derive(Clone, Copy)]
struct Versions {
    go: &'static str,
    net: &'static str,
    text: &'static str,
}

impl Versions {
    fn build(self) -> Result<PathBuf> {
        // All of them are one package.
        let files: Vec<_> =
            SOURCES.iter().map(|(name, text)| (name.trim_start_matches("xnet/"), *text)).collect();
        let modules = &[("golang.org/x/net", self.net), ("golang.org/x/text", self.text)];
        let args = &["-ldflags=-s -w"];
        Recipe { version: self.go, arch: HOST, mode: "exe", args, files: &files, modules }.build()
    }

    fn minor(self) -> u32 {
        golang::minor(self.go)
    }

    /// With Go 1.27 the newer x/net are wrappers around net/http, whose client it is then.
    fn wraps(self) -> bool {
        self.minor() >= 27 && self.net == "v0.62.0"
    }

    /// The scope of the calls by x/net's Transport alone.
    fn alone(self) -> &'static str {
        if self.wraps() { NET_HTTP } else { X_NET }
    }
}

/// What every Transport has to get right.
fn each(prefix: &str, base: &str) -> Vec<Due> {
    let due = |name: &str, query: &str| {
        let case = format!("{prefix}-{name}");
        Due::new(&case, format!("{base}/case/{case}{query}")).h2()
    };
    vec![
        due("first", ""),
        due("second", ""),
        due("third", ""),
        due("not-found", "?status=404").status("404").fails(),
        due("post", "").method("POST"),
        due("redirected", "?redirects=1").status("302"),
        due("redirected", "?redirects=0").with("http.request.resend_count", "1"),
        due("aborted", "?abort=1").error("http2.StreamError"),
        due("after-aborted", ""),
        due("cancelled", "?wait=1").unanswered(),
        due("deadline", "?wait=1").error("context.deadlineExceededError"),
        due("empty-method", ""),
    ]
}

/// Those of net/http's Transport with x/net's HTTP/2, and those of x/net's alone. Of some the URL has a port that nobody knows: they
/// are looked at elsewhere.
fn due(at: &Places) -> Result<[Vec<Due>; 2]> {
    let (h2c, https) = (format!("http://{}", at.h2c.context("h2c")?), format!("https://{}", at.https));
    let many = |prefix: &str, base: &str| -> Vec<Due> {
        (0..TOGETHER)
            .map(|n| format!("{prefix}-many-{}-{}", n / 8, n % 8))
            .chain((0..8).map(|n| format!("{prefix}-after-exit-{n}")))
            .chain(["before-panic", "after-panic", "crossed"].map(|name| format!("{prefix}-{name}")))
            .map(|case| Due::new(&case, format!("{base}/case/{case}")).h2())
            .collect()
    };
    let mut within = each("x-within", &https);
    within.push(Due::new("x-within-plain", format!("http://{}/case/x-within-plain", at.http)));
    within.push(
        Due::new("x-within-refused", format!("https://{}/case/x-within-refused", at.closed))
            .error("net.OpError"),
    );
    within.extend(many("x-within", &https));
    let mut alone = each("x-clear", &h2c);
    alone.extend(each("x-alone", &https));
    let refused = Due::new("x-refused", format!("http://{}/case/x-refused", at.closed)).error("net.OpError");
    let unknown = Due::new("x-unknown-authority", format!("{https}/case/x-unknown-authority"));
    alone.extend([refused, unknown.error("tls.CertificateVerificationError")]);
    let plain = |case: &str| Due::new(case, format!("{h2c}/case/{case}")).h2();
    alone.extend([plain("x-wrapped"), plain("x-tried-again")]);
    alone.extend(many("x-clear", &h2c));
    Ok([within, alone])
}

/// What differs from the parents that are due.
fn parents_differing(found: &Found) -> Vec<String> {
    let names = ["x-own-context", "x-background", "x-worker", "x-started-background", "x-within-own-context"];
    let mut wrong = Vec::new();
    for name in names {
        match found.call(name) {
            [call] => wrong.extend(parents::below(name, found, name, call)),
            other => wrong.push(format!("{name}: {} calls", other.len())),
        }
    }
    wrong
}

fn every_round_trip_is_one_span(versions: Versions) -> Result<()> {
    let built = versions.build()?;
    let plan = analyzer::plan_file(&built, &analyzer::Options::default(), &[])?;
    let has = plan.libraries.iter().any(|library| library.id == ID);
    ensure!(has != versions.wraps(), "{ID} is there: {has}");
    let mut stage = Stage::of(&built, Places::with_h2c, &[], &[])?;
    let [within, alone] = due(&stage.places)?;
    let of_net_http = cases::due(versions.minor(), &stage.places).len() + MANY.total();
    let found = stage.run(of_net_http + within.len() + alone.len())?;
    let mut wrong = cases::compare(versions.minor(), &stage.places, &found);
    wrong.extend(cases::differing(within, &found, Some(NET_HTTP)));
    wrong.extend(cases::differing(alone, &found, Some(versions.alone())));
    wrong.extend(parents::compare(versions.minor(), &found));
    wrong.extend(parents_differing(&found));
    for case in ["x-within-http1", "x-within-http1-again"] {
        match found.call(case) {
            [call] if call.scope == NET_HTTP => {}
            other => wrong.push(format!("{case}: {other:?}")),
        }
    }
    for case in ["x-tried-first", "x-within-panics", "x-clear-panics", "x-within-exits", "x-clear-exits"] {
        if !found.call(case).is_empty() {
            wrong.push(format!("{case}: {:?}", found.call(case)));
        }
    }
    let lost = losses(&stage.agent);
    // A call that a panic or Goexit has ended has no end: nobody says it before the program has ended, if its goroutine makes no other.
    let open = ["net_http_client.lost.open_at_exit", "x_net_http2_client.lost.open_at_exit"];
    if lost.iter().any(|(name, count)| !open.contains(&name.as_str()) || *count > 12) {
        wrong.push(format!("lost: {lost:?}"));
    }
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

const NEWEST: Versions = Versions { go: go(26), net: "v0.62.0", text: "v0.43.0" };

/// Without net/http's client the calls within its Transport are x/net's: each is one span still, though x/net is asked twice by the
/// one that opens a connection.
#[test]
fn calls_within_net_https_transport_without_its_client() -> Result<()> {
    let off = [("OTEL_GO_AUTO_TRACES_NET_HTTP_CLIENT_INSTRUMENTATION_ENABLED", "false")];
    let mut stage = Stage::of(&NEWEST.build()?, Places::with_h2c, &[], &off)?;
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
    let mut stage = Stage::of(&NEWEST.build()?, Places::with_h2c, &own, &small)?;
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
