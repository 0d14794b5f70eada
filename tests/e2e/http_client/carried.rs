//! The trace context in requests over HTTP/1.x (`tests/apps/carries`): what arrives is what the program would have sent without the agent,
//! and a line that names its own span; or nothing more where the kernel does not let probes write.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::spans::{Received, hex};

use super::found::text;

/// Spans of the program's requests: all but those that it writes itself; a redirect has two.
pub const SPANS: usize = 3 + 50 + 2 + 3 + 2 + 1 + 16 + 2 + 4 + 2 + 64 + 256;
/// Requests that arrive: one is sent twice, and two are by hand.
const HEADS: usize = SPANS + 3;
/// What the programs have to have counted, by its name.
const COUNTED: [(&str, usize); 4] = [
    ("net_http_client.context.written", HEADS - 18 - 2 - 1 - 2),
    ("net_http_client.context.own", 18),
    ("net_http_client.context.no_room", 2),
    ("net_http_client.context.unreadable", 1),
];
const NAME: &[u8] = b"Traceparent: ";
/// Of a request whose own is left alone.
const OWN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Whether a request is to have the line.
fn carries(path: &str) -> bool {
    let without = ["/own-", "/no-room", "/unread", "/by-hand"];
    !without.iter().any(|begin| path.starts_with(begin))
}

/// What has arrived, by its path.
pub type ByPath = BTreeMap<String, Vec<Vec<u8>>>;

/// Sorts what has arrived.
pub fn by_path(heads: Vec<Vec<u8>>) -> ByPath {
    let mut all = ByPath::new();
    for head in heads {
        let line = String::from_utf8_lossy(head.split(|byte| *byte == b'\r').next().unwrap_or_default());
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        all.entry(path).or_default().push(head);
    }
    all
}

/// A head without the lines that strobe may have written, and what those say.
fn taken_apart(head: &[u8]) -> (Vec<u8>, Vec<String>) {
    let (mut rest, mut values) = (Vec::new(), Vec::new());
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(NAME).map(|value| String::from_utf8_lossy(value).into_owned()) {
            Some(value) if value != format!("{OWN}\r\n") => values.push(value),
            _ => rest.extend_from_slice(line),
        }
    }
    (rest, values)
}

/// What is wrong. `before` arrived without the agent; `written`: probes may write; `all`: every span is recorded.
pub fn wrong(before: &ByPath, after: &ByPath, spans: &[Received], written: bool, all: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let path = |span: &Received| {
        let url = text(span, "url.full").unwrap_or_default();
        url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default()
    };
    let spans: BTreeMap<String, (String, String)> = spans
        .iter()
        .filter(|span| span.span.kind() == SpanKind::Client)
        .map(|span| (hex(&span.span.span_id), (hex(&span.span.trace_id), path(span))))
        .collect();
    let count = |heads: &ByPath| heads.values().map(Vec::len).sum::<usize>();
    if (count(before), count(after)) != (HEADS, HEADS) || all && spans.len() != SPANS {
        wrong.push(format!(
            "{} and {} requests, {} spans; {HEADS} and {SPANS} are due",
            count(before),
            count(after),
            spans.len()
        ));
    }
    for (path, heads) in after {
        let apart: Vec<_> = heads.iter().map(|head| taken_apart(head)).collect();
        let rests: Vec<&Vec<u8>> = apart.iter().map(|(rest, _)| rest).collect();
        if before.get(path).is_none_or(|before| before.iter().ne(rests)) {
            wrong.push(format!("{path}: it is not what the program sends"));
        }
        for (_, values) in &apart {
            let due = usize::from(written && carries(path));
            if values.len() != due {
                wrong.push(format!("{path}: {values:?}, and {due} are due"));
            }
            wrong.extend(values.iter().filter_map(|value| is_wrong(path, value, &spans, all)));
        }
    }
    wrong
}

/// What is wrong with a line's value: it names the span of the request that has it, or one that is not recorded.
fn is_wrong(
    path: &str,
    value: &str,
    spans: &BTreeMap<String, (String, String)>,
    all: bool,
) -> Option<String> {
    let parts: Vec<&str> = value.trim_end_matches("\r\n").split('-').collect();
    let is_right = match parts[..] {
        ["00", trace, span, flags] if value.len() == 57 => match spans.get(span) {
            Some((its_trace, its_path)) => {
                // Of a long path the span has the beginning.
                let is_its = its_path == path || its_path.len() > 500 && path.starts_with(its_path);
                flags == "01" && trace == its_trace && is_its
            }
            None => !all && flags == "00",
        },
        _ => false,
    };
    (!is_right)
        .then(|| format!("{path}: {value:?} names {:?}", parts.get(2).and_then(|span| spans.get(*span))))
}

/// What a person wants to see of that log: what is not for debugging, and what was counted.
pub fn shown(log: &str) -> String {
    let counted = |one: &&str| !one.contains("value: 0,") && one.contains("name: ");
    let last = log.lines().rev().find(|line| line.contains("counters: [")).unwrap_or_default();
    let counters: Vec<&str> = last.split("Counted").filter(counted).collect();
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains(" DEBUG ")).collect();
    format!("{}\n{}", lines.join("\n"), counters.concat())
}

/// What the programs have counted.
pub fn check_counters(log: &str) -> Result<()> {
    check_counted(log, &COUNTED)
}

/// What the programs have counted by these names, as the agent's log says it (`OTEL_LOG_LEVEL=debug`).
pub fn check_counted(log: &str, due: &[(&str, usize)]) -> Result<()> {
    let last =
        log.lines().rev().find(|line| line.contains("counters: [")).context("no counters in the log")?;
    for (name, due) in due {
        let is_said = last.contains(&format!("name: \"{name}\", value: {due},"));
        let said = last.split("Counted").find(|one| one.contains(*name));
        ensure!(is_said, "{name}: {due} are due, not {said:?}");
    }
    Ok(())
}
