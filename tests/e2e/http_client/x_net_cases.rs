//! What the program of `x_net` has to yield: its cases, and the versions that it is built with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use strobe_tests::built::Recipe;
use strobe_tests::golang;

use super::cases::{self, Due, MANY};
use super::found::Found;
use super::parents;
use super::places::Places;

/// The scopes of both libraries' spans.
const NET_HTTP: &str = "strobe/net/http";
pub const X_NET: &str = "strobe/golang.org/x/net/http2";
/// Fresh goroutines, each with a call of either kind.
const TOGETHER: usize = 256;

macro_rules! sources {
    ($($name:literal)+) => { &[$(($name, include_str!(concat!("../../apps/httpclient/", $name)))),+] };
}

/// The program of all these tests, and what makes calls with x/net.
const SOURCES: &[(&str, &str)] = sources!(
    "cases.go" "hooks.go" "load.go" "main.go" "parents.go" "tls.go" "without_go121.go" "without_old.go" "xnet/xnet.go"
);

/// The architecture of this machine.
pub const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// A Go version, and those of golang.org/x/net and /text.
#[derive(Clone, Copy)]
pub struct Versions {
    pub go: &'static str,
    pub net: &'static str,
    pub text: &'static str,
}

impl Versions {
    pub fn build(self) -> Result<PathBuf> {
        self.build_with(HOST, &["-ldflags=-s -w"])
    }

    pub fn build_with(self, arch: &str, args: &[&str]) -> Result<PathBuf> {
        // All of them are one package.
        let files: Vec<_> =
            SOURCES.iter().map(|(name, text)| (name.trim_start_matches("xnet/"), *text)).collect();
        let modules = &[("golang.org/x/net", self.net), ("golang.org/x/text", self.text)];
        Recipe { version: self.go, arch, mode: "exe", args, files: &files, modules }.build()
    }

    pub fn minor(self) -> u32 {
        golang::minor(self.go)
    }

    /// With Go 1.27 the newer x/net are wrappers around net/http, whose client it is then.
    pub fn wraps(self) -> bool {
        self.minor() >= 27 && self.net == "v0.62.0"
    }

    /// The scope of the calls by x/net's Transport alone.
    fn alone(self) -> &'static str {
        if self.wraps() { NET_HTTP } else { X_NET }
    }
}

/// With the standard library's newest client of its own, which Go 1.27 shares with x/net's.
pub const X_NET_1_26: Versions = Versions { go: golang::go(26), net: "v0.62.0", text: "v0.43.0" };

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
pub fn due(at: &Places) -> Result<[Vec<Due>; 2]> {
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

/// How many spans are due, those of the standard library's client included.
pub fn due_count(versions: Versions, at: &Places) -> Result<usize> {
    let [within, alone] = due(at)?;
    Ok(cases::due(versions.minor(), at).len() + MANY.total() + within.len() + alone.len())
}

/// What differs from what is due.
pub fn differing(
    versions: Versions,
    at: &Places,
    found: &Found,
    lost: &BTreeMap<String, u64>,
) -> Result<Vec<String>> {
    let [within, alone] = due(at)?;
    let mut wrong = cases::compare(versions.minor(), at, found);
    wrong.extend(cases::differing(within, found, Some(NET_HTTP)));
    wrong.extend(cases::differing(alone, found, Some(versions.alone())));
    wrong.extend(parents::compare(versions.minor(), found));
    wrong.extend(parents_differing(found));
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
    // A call that a panic or Goexit has ended has no end: nobody says it before the program has ended, if its goroutine makes no other.
    let open = ["net_http_client.lost.open_at_exit", "x_net_http2_client.lost.open_at_exit"];
    if lost.iter().any(|(name, count)| !open.contains(&name.as_str()) || *count > 12) {
        wrong.push(format!("lost: {lost:?}"));
    }
    Ok(wrong)
}
