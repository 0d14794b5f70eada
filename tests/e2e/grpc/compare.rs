//! The spans that came, held against those that are due.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use strobe_tests::spans::{Received, TRACE_STATE, Value, hex};

use super::cases::{Due, FIRST_OF_MANY, MANY, Parent, is_error};

/// The scope of gRPC's spans.
const SCOPE: &str = "strobe/google.golang.org/grpc";

/// All spans, by what they are known by.
pub struct Found {
    /// gRPC's, by kind and method, in the order of their starts.
    rpcs: BTreeMap<(i32, String), Vec<Received>>,
    /// net/http's, by path.
    http: HashMap<String, Received>,
    twice: Vec<String>,
}

/// A string attribute.
pub fn text<'a>(span: &'a Received, name: &str) -> &'a str {
    match span.attributes.get(name) {
        Some(Value::Str(text)) => text,
        _ => "",
    }
}

impl Found {
    pub fn new(mut spans: Vec<Received>) -> Self {
        spans.sort_by_key(|span| span.span.start_time_unix_nano);
        let (mut found, mut ids) =
            (Self { rpcs: BTreeMap::new(), http: HashMap::new(), twice: Vec::new() }, HashSet::new());
        for span in spans {
            if !ids.insert(span.span.span_id.clone()) {
                found.twice.push(format!("a span came twice: {:?}", span.attributes));
            }
            if span.scope == SCOPE {
                let method = match text(&span, "rpc.method_original") {
                    "" => text(&span, "rpc.method"),
                    original => original.trim_start_matches('/'),
                };
                found.rpcs.entry((span.span.kind, method.to_owned())).or_default().push(span);
            } else {
                found.http.insert(text(&span, "url.path").to_owned(), span);
            }
        }
        found
    }

    /// The spans of this kind with this method.
    pub fn of(&self, kind: SpanKind, method: &str) -> &[Received] {
        self.rpcs.get(&(kind as i32, method.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// What differs from these, and from the calls of many.
    pub fn differing(&self, due: &[Due]) -> Vec<String> {
        let mut wrong = self.differing_alone(due);
        wrong.extend(self.many());
        wrong
    }

    /// What differs from these.
    pub fn differing_alone(&self, due: &[Due]) -> Vec<String> {
        let mut wrong = self.twice.clone();
        let mut wanted: BTreeMap<(i32, &str), Vec<&Due>> = BTreeMap::new();
        for one in due {
            wanted.entry((one.kind as i32, &one.method)).or_default().push(one);
        }
        for ((_, method), due) in &wanted {
            let kind = due[0].kind;
            let got = self.of(kind, method);
            if got.len() != due.len() {
                wrong.push(format!("{kind:?} {method}: {} spans, {} due", got.len(), due.len()));
            }
            for (due, span) in due.iter().zip(got) {
                let differs = self.differs(due, span);
                wrong.extend(differs.into_iter().map(|what| format!("{kind:?} {method}: {what}")));
            }
        }
        let is_many = |method: &str| method == "strobe.Test/many";
        let not_due =
            self.rpcs.keys().filter(|(kind, method)| !wanted.contains_key(&(*kind, method.as_str())));
        wrong.extend(
            not_due
                .filter(|(_, method)| !is_many(method))
                .map(|(kind, method)| format!("{kind} {method} is not due")),
        );
        wrong
    }

    fn differs(&self, due: &Due, got: &Received) -> Vec<String> {
        let mut out = Vec::new();
        let mut differs = |what: &str, want: &str, got: &str| {
            if want != "*" && !want.split('|').any(|one| one == got) {
                out.push(format!("{what}: {want:?} is due, not {got:?}"));
            }
        };
        let code = text(got, "rpc.status_code");
        differs("code", &due.code, code);
        differs("name", &due.name, &got.span.name);
        let failed = is_error(due.kind, code);
        differs("error.type", if failed { code } else { "" }, text(got, "error.type"));
        let status = got.span.status.clone().unwrap_or_default();
        let want = if failed { StatusCode::Error } else { StatusCode::Unset };
        differs("status", want.as_str_name(), status.code().as_str_name());
        match due.message {
            Some(message) if failed => differs("message", message, &status.message),
            _ if !failed => differs("message", "", &status.message),
            _ => {}
        }
        let show = |value: &Value| match value {
            Value::Str(text) => text.clone(),
            other => other.to_string(),
        };
        let of_outcome = ["rpc.status_code", "error.type"];
        let names: BTreeSet<&str> = due.attributes.keys().copied().collect();
        for name in got.attributes.keys().filter(|name| !names.contains(name.as_str())) {
            if !of_outcome.contains(&name.as_str()) {
                differs(name, "", &show(&got.attributes[name]));
            }
        }
        for (name, want) in &due.attributes {
            let got = got.attributes.get(*name).map(show);
            differs(name, want, got.as_deref().unwrap_or("(nothing)"));
        }
        out.extend(self.wrong_parent(due, got));
        out
    }

    fn wrong_parent(&self, due: &Due, got: &Received) -> Option<String> {
        let (trace, parent) = (hex(&got.span.trace_id), hex(&got.span.parent_span_id));
        let below = |above: Option<&Received>| {
            above.is_some_and(|above| {
                let (begin, end) = (above.span.start_time_unix_nano, above.span.end_time_unix_nano);
                let start = got.span.start_time_unix_nano;
                // A call may have been given up when it arrives.
                let is_inside =
                    (begin..=end).contains(&start) || due.parent == Parent::Caller && start >= begin;
                hex(&above.span.span_id) == parent && hex(&above.span.trace_id) == trace && is_inside
            })
        };
        let is_right = match &due.parent {
            Parent::Nobody => parent.is_empty(),
            Parent::Caller => match self.of(SpanKind::Client, &due.method) {
                [] => parent.is_empty(),
                calls => calls.iter().any(|call| below(Some(call))),
            },
            Parent::Remote(due_trace, due_parent) => trace == *due_trace && parent == *due_parent,
            Parent::Server(name) => below(self.of(SpanKind::Server, &format!("strobe.Test/{name}")).first()),
            Parent::Http(name) => below(self.http.get(&format!("/strobe.Test/{name}"))),
        };
        (!is_right).then(|| format!("its parent is {parent} in {trace}, not {:?}", due.parent))
    }

    /// Each of the many has a trace of its own.
    fn many(&self) -> Vec<String> {
        let (calls, served) =
            (self.of(SpanKind::Client, "strobe.Test/many"), self.of(SpanKind::Server, "strobe.Test/many"));
        let mut wrong = Vec::new();
        if calls.len() != MANY || calls.iter().any(|call| !call.span.parent_span_id.is_empty()) {
            wrong.push(format!("{} calls of many, some with parents", calls.len()));
        }
        let traces: BTreeSet<String> = served.iter().map(|span| hex(&span.span.trace_id)).collect();
        let due: BTreeSet<String> =
            (FIRST_OF_MANY..FIRST_OF_MANY + MANY).map(|number| format!("{number:032x}")).collect();
        if traces != due || served.len() != MANY {
            wrong.push(format!("{} of many served, of {} traces", served.len(), traces.len()));
        }
        let odd = |span: &&Received| {
            text(span, "rpc.status_code") != "OK"
                || !span.attributes.contains_key("server.port")
                || span.attributes.contains_key(TRACE_STATE)
        };
        wrong.extend(
            calls.iter().chain(served).filter(odd).map(|span| format!("many: {:?}", span.attributes)),
        );
        wrong
    }
}
