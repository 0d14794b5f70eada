//! What a `traceparent` and a `tracestate` say, by the cases of the W3C's test suite. The programs parse the first with the very function that
//! is called here; what they find in the memory of real servers is held against the same cases end to end (tests/e2e/http_server).

use runtime_ebpf::trace_parent::{TEXT_AT, TraceParent, of_words};
use serde::Deserialize;

use super::parse;
use crate::records::Text;

#[derive(Debug, Deserialize)]
struct Suite {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    headers: Vec<(String, String)>,
    parent: Option<String>,
    list: String,
}

fn cases() -> Vec<Case> {
    let text = include_str!("../../../tests/support/trace_context.json");
    serde_json::from_str::<Suite>(text).expect("cases").cases
}

impl Case {
    /// The values of a header without the blanks around them, which are no part of it (RFC 9110, 5.5): a server hands them out so.
    fn values(&self, name: &str) -> Vec<&str> {
        let is_it = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(is_it).map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
    }
}

/// A value as the programs have it before them.
fn traceparent(value: &str) -> Option<TraceParent> {
    let mut bytes = [0; 64];
    for (to, from) in bytes.iter_mut().skip(TEXT_AT).take(56).zip(value.bytes()) {
        *to = from;
    }
    let mut words = [0; 8];
    for (word, eight) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*eight);
    }
    of_words(&words, u64::try_from(value.len()).expect("a length"))
}

/// Spelled as the cases do it.
fn spelled(parent: TraceParent) -> String {
    let [first, second] = parent.trace_id.map(u64::to_be);
    let span = parent.span_id.to_be();
    format!("{first:016x}{second:016x}-{span:016x}-{:02x}", parent.flags)
}

#[test]
fn every_case_is_read_as_the_standard_has_it() {
    let cases = cases();
    assert!(cases.len() > 100, "{} cases are too few", cases.len());
    for case in cases {
        let parent = match case.values("traceparent")[..] {
            [one] => traceparent(one).map(spelled),
            // Two are as good as none.
            _ => None,
        };
        assert_eq!(parent, case.parent, "{case:?}");
        // Without a valid traceparent nobody asks for the list.
        if parent.is_some() {
            let joined = case.values("tracestate").join(",");
            assert_eq!(parse(Text::whole(joined.as_bytes())).unwrap_or_default(), case.list, "{case:?}");
        }
    }
}
