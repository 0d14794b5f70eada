//! Whose child each call has to be that a handler of `tests/apps/httpclient` has made, or had made. The answers are those of
//! docs/strobe.md, "Parents inside a process".

use strobe_tests::spans::Received;

use super::found::Found;

/// Whose child a call is.
#[derive(Clone, Copy)]
enum Of {
    /// The handler's of the same name.
    Itself,
    /// This handler's.
    Handler(&'static str),
    /// Nobody's.
    Nobody,
    /// There is no such call.
    NoSpan,
}

/// What is due in every version; `minor` is Go's.
fn due(minor: u32) -> Vec<(&'static str, Of)> {
    // Goroutines know who has created them since Go 1.21.
    let since_121 = |of| if minor >= 21 { of } else { Of::Nobody };
    let made_since_121 = |of| if minor >= 21 { of } else { Of::NoSpan };
    vec![
        // By the goroutine.
        ("background", Of::Itself),
        // By the context, whoever has it.
        ("own-context", Of::Itself),
        ("derived-context", Of::Itself),
        ("deep-context", Of::Itself),
        ("worker", Of::Itself),
        ("proxied", Of::Itself),
        // Whatever was put into it.
        ("servers-value", Of::Itself),
        ("started-context", Of::Itself),
        ("without-cancel", made_since_121(Of::Itself)),
        // The context beats the goroutine.
        ("other-context", Of::Handler("holds")),
        // By who has created the goroutine, one level.
        ("started-background", since_121(Of::Itself)),
        ("started-twice", Of::Nobody),
        // Nobody knows for whom.
        ("worker-background", Of::Nobody),
        ("batched", Of::Nobody),
        // Never a span that has ended.
        ("outlives-background", Of::Nobody),
        ("without-cancel-outlives", made_since_121(Of::Nobody)),
        // Its context is done: nothing is sent.
        ("outlives-context", Of::NoSpan),
        // Nothing of all that is left behind.
        ("after-all", Of::Itself),
        // As its caller wishes.
        ("unsampled", Of::NoSpan),
        ("remote", Of::Itself),
    ]
}

/// What differs.
pub fn compare(minor: u32, found: &Found) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, of) in due(minor) {
        let call = match (of, found.call(name)) {
            (Of::NoSpan, []) => continue,
            (Of::Itself | Of::Handler(_) | Of::Nobody, [call]) => call,
            (_, other) => {
                wrong.push(format!("{name}: {} calls", other.len()));
                continue;
            }
        };
        let handler = match of {
            Of::Itself => name,
            Of::Handler(other) => other,
            Of::Nobody | Of::NoSpan => {
                if !call.span.parent_span_id.is_empty() {
                    wrong.push(format!("{name}: it has a parent, {}", whose(found, call)));
                }
                continue;
            }
        };
        wrong.extend(below(name, found, handler, call));
    }
    // One of two has made the call for both.
    match found.call("flight") {
        [call] => {
            let of_either =
                ["flight-1", "flight-2"].iter().any(|name| below("", found, name, call).is_none());
            if !of_either {
                wrong.push("flight: it is the child of neither".to_owned());
            }
        }
        other => wrong.push(format!("flight: {} calls", other.len())),
    }
    let crowd: Vec<&String> = found.calls.keys().filter(|name| name.starts_with("crowd-")).collect();
    if crowd.len() != 32 * 8 {
        wrong.push(format!("crowd: {} calls", crowd.len()));
    }
    for name in crowd {
        match found.call(name) {
            [call] => wrong.extend(below(name, found, name, call)),
            other => wrong.push(format!("{name}: {} calls", other.len())),
        }
    }
    let remote = found.handler("remote").map(|span| span.span.trace_id.clone());
    if remote.is_none_or(|trace| trace.first() != Some(&0x4b)) {
        wrong.push("remote: the handler is not in its caller's trace".to_owned());
    }
    // What its caller's vendor has to say goes along.
    let list = |span: &Received| span.span.trace_state.clone();
    let lists = [found.handler("remote").map(list), found.call("remote").first().map(list)];
    if lists.iter().any(|list| list.as_deref() != Some("vendor=1")) {
        wrong.push(format!("remote: the tracestates are {lists:?}"));
    }
    wrong
}

/// What is wrong with a call that has to be below a handler's span, in its trace and within its time.
pub fn below(name: &str, found: &Found, handler: &str, call: &Received) -> Option<String> {
    let Some(parent) = found.handler(handler) else { return Some(format!("{name}: no span of {handler}")) };
    let (parent, span) = (&parent.span, &call.span);
    if span.parent_span_id != parent.span_id {
        return Some(format!("{name}: it is {}", whose(found, call)));
    }
    if span.trace_id != parent.trace_id {
        return Some(format!("{name}: it is in another trace than its parent"));
    }
    let inside = parent.start_time_unix_nano <= span.start_time_unix_nano
        && span.start_time_unix_nano <= parent.end_time_unix_nano;
    (!inside).then(|| format!("{name}: it did not begin within its parent's time"))
}

/// Whose child it is, for messages.
fn whose(found: &Found, call: &Received) -> String {
    let id = &call.span.parent_span_id;
    if id.is_empty() {
        return "nobody's".to_owned();
    }
    let of = |all: &Vec<Received>| all.iter().any(|span| &span.span.span_id == id);
    let path = found.handled.iter().find(|(_, all)| of(all)).map(|(path, _)| path.as_str());
    format!("the child of {}", path.unwrap_or("a span that never came"))
}
