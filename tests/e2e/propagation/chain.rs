//! The services of `tests/apps/chain`, and the spans that their chains have to be.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::built::Recipe;
use strobe_tests::machine;
use strobe_tests::process::Running;
use strobe_tests::spans::{Received, Value, hex};

const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

macro_rules! sources {
    ($($name:literal)+) => { &[$(($name, include_str!(concat!("../../apps/chain/", $name)))),+] };
}

/// All but go.mod, which is said anew for each version.
const SOURCES: &[(&str, &str)] = sources!("call.go" "main.go" "serve.go");
/// For each chain: far more than the slowest machine needs.
const PATIENCE_EACH: Duration = Duration::from_millis(30);
/// Differences that are shown.
const SHOWN: usize = 12;

/// What one of the services is built of.
pub struct Versions {
    pub go: &'static str,
    pub net: &'static str,
    pub grpc: &'static str,
}

/// Builds it, stripped.
pub fn build(versions: &Versions) -> Result<PathBuf> {
    build_for(versions, HOST)
}

/// The same for an architecture, as `GOARCH` has it.
pub fn build_for(versions: &Versions, arch: &str) -> Result<PathBuf> {
    let Versions { go, net, grpc } = versions;
    // Older than Go 1.21, a module has no OnceValue.
    let module = format!(
        "module strobe.test/chain\n\ngo 1.22\n\nrequire golang.org/x/net {net}\n\nrequire google.golang.org/grpc {grpc}\n"
    );
    let files = [&[("go.mod", module.as_str())], SOURCES].concat();
    let modules = &[("golang.org/x/net", *net), ("google.golang.org/grpc", *grpc)];
    Recipe { version: go, arch, mode: "exe", args: &["-ldflags=-s -w"], files: &files, modules }.build()
}

/// A running service.
pub struct Service {
    pub app: Running,
    pub places: String,
}

impl Service {
    /// Starts it in a network namespace (none: this one's), with these variables.
    pub fn start(program: &Path, name: &str, within: Option<&str>, more: &[(&str, String)]) -> Result<Self> {
        let mut command = match within {
            None => Command::new(program),
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
        };
        command.env("OTEL_SERVICE_NAME", name).env("CHAIN_ID", name);
        let app = Running::start(command.envs(more.iter().map(|(name, value)| (name, value))))?;
        Self::started(app, Duration::from_secs(10))
    }

    /// Waits until it listens.
    pub fn started(app: Running, limit: Duration) -> Result<Self> {
        let places = app.stdout.wait_for("places ", 0, limit).with_context(|| app.output())?;
        let (_, places) = places.split_once("places ").context("its places")?;
        Ok(Self { places: places.to_owned(), app })
    }

    /// Has it begin its chains.
    pub fn begin(&self) -> Result<()> {
        self.app.signal(libc::SIGUSR1)
    }

    /// Waits until they are done; gives how many it began in a second. None may have failed.
    pub fn done(&self, requests: usize) -> Result<u64> {
        self.done_within(requests, Duration::from_secs(30) + PATIENCE_EACH * u32::try_from(requests)?)
    }

    /// The same on a machine that takes its time.
    pub fn done_within(&self, requests: usize, limit: Duration) -> Result<u64> {
        let done = self.app.stdout.wait_for("done ", 0, limit).with_context(|| self.app.output())?;
        let words: Vec<u64> = done.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [failed, ms] = words.as_slice() else { anyhow::bail!("{done}") };
        ensure!(*failed == 0, "{failed} chains failed\n{}", self.app.output());
        Ok(requests as u64 * 1000 / (*ms).max(1))
    }
}

/// The ways to call, as the program has them: a chain takes two of them, by its number.
const WAYS: [&str; 6] = ["h1", "h1s", "h2", "h2c", "grpc", "grpcs"];

/// In which way a service of a chain is called by the one before it, `hop` 0 being the first call.
fn called_by(nth: usize, hop: usize) -> &'static str {
    let pair = nth % (WAYS.len() * WAYS.len());
    WAYS[if hop == 0 { pair / WAYS.len() } else { pair % WAYS.len() }]
}

/// What is the same in all programs of a chain, and copied so that each has its own probes.
pub fn copies(folder: &Path, built: &[PathBuf], names: &[&str]) -> Result<Vec<PathBuf>> {
    let copy = |(name, built): (&&str, &PathBuf)| {
        let program = folder.join(name);
        machine::copy_program(built, &program)?;
        Ok(program)
    };
    names.iter().zip(built).map(copy).collect()
}

/// What a service sends along with a chain's first request: trace and span, by the chain's id.
pub type Own = fn(&str) -> (String, String);

/// What differs from what is due.
#[derive(Debug, Default)]
pub struct Differences {
    /// Chains that are due.
    pub due: usize,
    /// Spans that did not come.
    pub missing: Vec<String>,
    /// Spans without a parent that should have one.
    pub orphans: Vec<String>,
    /// How many of them, and of how many, by the way in which they were called.
    pub by_way: BTreeMap<&'static str, [usize; 2]>,
    /// Spans below another one than their caller's, or that came twice.
    pub wrong: Vec<String>,
    /// Chains that are more than one trace.
    pub torn: usize,
    /// Of the last spans that have a parent, how many have its `tracestate`, and how many lack it.
    pub states: [usize; 2],
}

impl Differences {
    pub fn text(&self) -> String {
        let all = [&self.missing, &self.orphans, &self.wrong];
        let [missing, orphans, wrong] = all.map(|all| all.len());
        let first: Vec<String> = all.iter().flat_map(|all| all.iter().take(SHOWN)).cloned().collect();
        format!(
            "{} chains: {missing} spans missing, {orphans} without their parent ({}), {wrong} wrong, {} chains torn\n{}",
            self.due,
            self.shares(),
            self.torn,
            first.join("\n")
        )
    }

    /// Spans without a parent, by the way in which they were called.
    pub fn shares(&self) -> String {
        let share = |(way, [none, all]): (&&str, &[usize; 2])| format!("{way} {none} of {all}");
        self.by_way.iter().map(share).collect::<Vec<_>>().join(", ")
    }
}

/// The steps of a chain through these three services: who, on which side, below which step.
fn steps([a, b, c]: [&str; 3]) -> [(&str, SpanKind, Option<usize>); 4] {
    [
        (a, SpanKind::Client, None),
        (b, SpanKind::Server, Some(0)),
        (b, SpanKind::Client, Some(1)),
        (c, SpanKind::Server, Some(2)),
    ]
}

/// Holds the spans against the chains `ID-1` to `ID-requests` through three services, the first of which gives its name to the ids. Those
/// before `from` began before the agent saw everything: they may lack anything, but nothing may be wrong. `own` is the first one's
/// traceparent for an id, if it sends one.
pub fn compare(
    spans: &[Received],
    services: [&str; 3],
    from: usize,
    requests: usize,
    own: Option<Own>,
) -> Differences {
    let mut by_key: HashMap<(&str, SpanKind, &str), Vec<&Received>> = HashMap::new();
    for span in spans {
        if let Some(id) = id(span) {
            let service = text(&span.resource, "service.name");
            by_key.entry((service, span.span.kind(), id)).or_default().push(span);
        }
    }
    let mut out = Differences { due: requests + 1 - from, ..Differences::default() };
    for nth in 1..=requests {
        let id = format!("{}-{nth}", services[0]);
        let mut found: [Option<&Received>; 4] = [None; 4];
        for (step, (service, kind, above)) in steps(services).into_iter().enumerate() {
            let what = format!("{id}: {service} {kind:?}");
            let span = match by_key.get(&(service, kind, id.as_str())).map(Vec::as_slice) {
                Some([span]) => *span,
                Some(_) => {
                    out.wrong.push(format!("{what} came twice"));
                    continue;
                }
                None => {
                    out.missing.extend((nth >= from).then_some(what));
                    continue;
                }
            };
            found[step] = Some(span);
            let parent = &span.span.parent_span_id;
            if let (SpanKind::Server, true) = (kind, nth >= from) {
                let [orphans, all] = out.by_way.entry(called_by(nth, step / 2)).or_default();
                *orphans += usize::from(parent.is_empty());
                *all += 1;
            }
            let due = match (above, own) {
                (None, _) => Some((hex(&span.span.trace_id), String::new())),
                (Some(0), Some(own)) => Some(own(&id)),
                (Some(above), _) => {
                    found[above].map(|above| (hex(&above.span.trace_id), hex(&above.span.span_id)))
                }
            };
            let (said, state) =
                (&span.span.trace_state, if own.is_some() { own_state(&id) } else { String::new() });
            // The first span is none of the trace that it sends along.
            let state = if above.is_none() || parent.is_empty() { String::new() } else { state };
            if step == 3 && !state.is_empty() {
                out.states[usize::from(said.is_empty())] += 1;
            }
            if *said != state && (step < 3 || !said.is_empty()) {
                out.wrong.push(format!("{what} has the tracestate {said:?}, due is {state:?}"));
            }
            if due == Some((hex(&span.span.trace_id), hex(parent))) || due.is_none() && parent.is_empty() {
                continue;
            }
            let what = format!("{what}: {}", way(span));
            match parent.is_empty() {
                true => out.orphans.extend((nth >= from).then_some(what)),
                false => out.wrong.push(what),
            }
        }
        let traces: HashSet<&[u8]> =
            found.iter().flatten().map(|span| span.span.trace_id.as_slice()).collect();
        out.torn += usize::from(nth >= from && own.is_none() && traces.len() > 1);
    }
    out
}

fn text<'a>(attributes: &'a BTreeMap<String, Value>, name: &str) -> &'a str {
    match attributes.get(name) {
        Some(Value::Str(text)) => text,
        _ => "",
    }
}

fn way(span: &Received) -> String {
    let names = ["url.full", "url.scheme", "network.protocol.version", "rpc.system.name", "server.port"];
    let said: Vec<String> =
        names.iter().filter_map(|name| Some(format!("{name} {}", span.attributes.get(*name)?))).collect();
    said.join(", ")
}

/// A chain's id, which stands in the path or the method's name.
fn id(span: &Received) -> Option<&str> {
    let names = ["url.path", "url.full", "rpc.method_original", "rpc.method"];
    let (_, id) = names.iter().find_map(|name| text(&span.attributes, name).split_once("chain/"))?;
    id.split('.').next()
}

/// The traceparent that a service with `CHAIN_OWN` sends for an id: trace and span.
pub fn own(id: &str) -> (String, String) {
    (format!("{:032x}", hash(id, 1)), format!("{:016x}", hash(id, 2)))
}

/// The tracestate beside it, of one header or two.
fn own_state(id: &str) -> String {
    let member = |nth| format!("k{nth:02}={:015x}", hash(id, 10 + nth) >> 4);
    (0..hash(id, 3) % 26).map(member).collect::<Vec<_>>().join(",")
}

fn hash(id: &str, seed: u64) -> u64 {
    let sum = 14_695_981_039_346_656_037_u64 ^ seed;
    id.bytes().fold(sum, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(1_099_511_628_211)) | 1
}
