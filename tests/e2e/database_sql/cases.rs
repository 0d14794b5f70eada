//! What each operation of `tests/apps/databasesql` has to look like.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use strobe_tests::spans::Received;

use super::seen::{SCOPE, text};

/// What a driver of the tests fails with.
const FAKE: &str = "main.fakeError";
const TEXT: &str = "errors.errorString";
const OK: &str = "";

/// The spans that are due by their names, in the order of their starts: `error.type` of each, empty of one that is no error.
const DUE: &[(&str, &[&str])] = &[
    ("SELECT ok_query", &[OK]),
    ("SELECT ok_query_context", &[OK]),
    ("SELECT ok_query_row", &[OK]),
    ("INSERT ok_exec", &[OK]),
    ("UPDATE ok_exec_context", &[OK]),
    ("SELECT skip_query", &[OK]),
    ("DELETE skip_exec", &[OK]),
    ("PING", &[OK, FAKE, OK]),
    // One span each, with what came in the end.
    ("SELECT badonce_query", &[OK]),
    ("DELETE badonce_exec", &[OK]),
    ("SELECT badtwice_query", &[OK]),
    ("DELETE badtwice_exec", &[OK]),
    ("SELECT badwrapped_query", &[OK]),
    ("DELETE badwrapped_exec", &[OK]),
    ("SELECT badalways_query", &[TEXT]),
    ("DELETE badalways_exec", &[TEXT]),
    ("SELECT badfails_query", &[FAKE]),
    ("DELETE badfails_exec", &[FAKE]),
    ("SELECT fails_query", &[FAKE]),
    ("DELETE fails_exec", &[FAKE]),
    ("SELECT wrapped_query", &[FAKE]),
    ("DELETE wrapped_exec", &[FAKE]),
    ("SELECT text_query", &[TEXT]),
    ("DELETE text_exec", &[TEXT]),
    ("SELECT ok_after_not_sent", &[OK]),
    ("SELECT waits_cancelled", &[OK]),
    ("DELETE waits_deadline", &["context.deadlineExceededError"]),
    ("SELECT ok_after_panic", &[OK]),
    ("other_sql", &[OK]),
    ("PREPARE", &[OK, OK, OK, OK, OK, FAKE, OK]),
    ("SELECT ok_stmt_query", &[OK, OK]),
    ("DELETE ok_stmt_exec", &[OK]),
    ("DELETE fails_stmt", &[FAKE]),
    ("SELECT badonce_stmt", &[OK]),
    ("SELECT badalways_stmt", &[TEXT]),
    ("BEGIN", &[OK, OK, OK, FAKE, OK, OK]),
    ("COMMIT", &[OK, FAKE, OK]),
    ("ROLLBACK", &[OK, OK]),
    ("SELECT ok_tx_query", &[OK]),
    ("DELETE ok_tx_exec", &[OK]),
    ("SELECT ok_tx_stmt", &[OK]),
    ("DELETE fails_tx", &[FAKE]),
    ("DELETE badalways_tx", &[TEXT, TEXT]),
    ("SELECT ok_conn_query", &[OK]),
    ("DELETE ok_conn_exec", &[OK]),
    ("SELECT plain_query", &[OK]),
    ("DELETE plain_exec", &[OK]),
    ("SELECT unpreparable", &[FAKE]),
    ("DELETE unpreparable", &[FAKE]),
    ("DELETE plain_after_ping", &[OK]),
    ("SELECT ok_context", &[OK]),
    ("SELECT ok_background", &[OK]),
    ("SELECT ok_goroutine", &[OK]),
    ("SELECT ok_worker", &[OK]),
    ("DELETE ok_tx", &[OK]),
    ("SELECT badonce_in", &[OK]),
];

/// Operations on behalf of requests: name, how many from the end, path of the request.
const INSIDE: &[(&str, &str)] = &[
    ("SELECT ok_context", "/in/ok_context"),
    ("SELECT ok_background", "/in/ok_background"),
    ("SELECT ok_goroutine", "/in/ok_goroutine"),
    ("SELECT ok_worker", "/in/ok_worker"),
    ("BEGIN", "/in/ok_tx"),
    ("DELETE ok_tx", "/in/ok_tx"),
    ("COMMIT", "/in/ok_tx"),
    ("SELECT badonce_in", "/in/badonce_in"),
];

/// How many spans are due, those of requests and of the calls that make them among them.
pub fn due_count() -> usize {
    let requests = INSIDE.iter().map(|(_, path)| path).collect::<BTreeSet<_>>().len();
    DUE.iter().map(|(_, all)| all.len()).sum::<usize>() + 2 * requests
}

/// What differs. Before Go 1.21 a goroutine does not know who has made it.
pub fn compare(minor: u32, spans: &[Received]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut by_name: BTreeMap<&str, Vec<&Received>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for span in spans.iter().filter(|span| span.scope == SCOPE) {
        by_name.entry(&span.span.name).or_default().push(span);
        if !ids.insert(&span.span.span_id) {
            wrong.push(format!("{} came twice", span.span.name));
        }
    }
    by_name.values_mut().for_each(|all| all.sort_by_key(|span| span.span.start_time_unix_nano));
    for (name, errors) in DUE {
        let got = by_name.remove(name).unwrap_or_default();
        let types: Vec<&str> = got.iter().map(|span| text(span, "error.type").unwrap_or_default()).collect();
        if types != *errors {
            wrong.push(format!("{name}: {errors:?} are due, got {types:?}"));
        }
        for span in &got {
            wrong.extend(attributes(span).into_iter().map(|what| format!("{name}: {what}")));
        }
        let of_request = INSIDE.iter().find(|(inside, _)| inside == name).map(|(_, path)| *path);
        let of_request = of_request.filter(|path| minor >= 21 || *path != "/in/ok_goroutine");
        wrong.extend(parents(spans, &got, of_request).into_iter().map(|what| format!("{name}: {what}")));
    }
    wrong.extend(by_name.into_iter().map(|(name, all)| format!("{} of {name:?} are not due", all.len())));
    wrong
}

/// What every span has to have, and no more.
fn attributes(span: &Received) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = span.span.name.as_str();
    let is_error = text(span, "error.type").is_some();
    let code = span.span.status.as_ref().map_or(StatusCode::Unset, |status| status.code());
    if (code == StatusCode::Error) != is_error || code == StatusCode::Ok {
        wrong.push(format!("status {code:?}"));
    }
    if span.span.kind() != SpanKind::Client {
        wrong.push(format!("kind {:?}", span.span.kind()));
    }
    let mut due = BTreeMap::from([("db.system.name", "other_sql")]);
    match name {
        "PING" | "PREPARE" | "BEGIN" | "COMMIT" | "ROLLBACK" => due.insert("db.operation.name", name),
        // Nobody can tell what it is.
        "other_sql" => None,
        _ => due.insert("db.query.summary", name),
    };
    let error = text(span, "error.type");
    due.extend(error.map(|error| ("error.type", error)));
    let got: BTreeMap<&str, &str> =
        span.attributes.keys().map(|key| (key.as_str(), text(span, key).unwrap_or("?"))).collect();
    if got != due {
        wrong.push(format!("{due:?} is due, got {got:?}"));
    }
    wrong
}

/// The last of them, or none, is below the request of this path.
fn parents(spans: &[Received], got: &[&Received], path: Option<&str>) -> Vec<String> {
    let request = path.and_then(|path| {
        let is_it = |span: &&Received| text(span, "url.path") == Some(path);
        spans.iter().filter(|span| span.span.kind() == SpanKind::Server).find(is_it)
    });
    if path.is_some() && request.is_none() {
        return vec!["its request has no span".to_owned()];
    }
    let mut wrong = Vec::new();
    for (nth, span) in got.iter().enumerate() {
        let due = request.filter(|_| nth + 1 == got.len());
        let parent = due.map_or(&[][..], |request| request.span.span_id.as_slice());
        let trace = due.map_or(&span.span.trace_id, |request| &request.span.trace_id);
        if span.span.parent_span_id != parent || span.span.trace_id != *trace {
            wrong.push(format!("number {nth}: another parent than is due"));
        }
        if let Some(request) = due {
            let (own, outer) = (&span.span, &request.span);
            let is_within = own.start_time_unix_nano >= outer.start_time_unix_nano
                && own.end_time_unix_nano <= outer.end_time_unix_nano;
            if !is_within {
                wrong.push("it is not within its request".to_owned());
            }
        }
    }
    wrong
}
