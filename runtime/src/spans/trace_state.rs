//! W3C `tracestate` (level 2, 3.3): what other vendors want carried with a trace.
//!
//! strobe adds no member of its own and changes none: the list goes on as it came, or not at all.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::records::Text;

/// What is kept at most: the least that everybody has to carry (3.3.1.5).
const MAX_BYTES: usize = 512;
/// Members of a list (3.3.1.1).
const MAX_MEMBERS: usize = 32;
/// Bytes of a key, and of a value.
const MAX_PART_BYTES: usize = 256;
/// Members longer than this are the first to go where the list is too long (3.3.1.5).
const LONG_MEMBER_BYTES: usize = 128;

/// The list, at most 512 bytes of it in whole members; the empty string if it has none. `None`: it is not one of the standard's form,
/// which makes all of it void (the `traceparent` beside it stays good), or none of it can be kept.
pub fn parse(text: Text<'_>) -> Option<String> {
    let whole = std::str::from_utf8(text.bytes).ok()?;
    // The last member of a cut list may be cut itself.
    let whole = if text.is_cut() { whole.rsplit_once(',')?.0 } else { whole };
    let is_blank = |c: char| matches!(c, ' ' | '\t');
    let members: Vec<&str> =
        whole.split(',').map(|member| member.trim_matches(is_blank)).filter(|m| !m.is_empty()).collect();
    if members.is_empty() {
        return Some(String::new());
    }
    if members.len() > MAX_MEMBERS {
        return None;
    }
    let keys = members.iter().map(|member| key_of(member)).collect::<Option<Vec<&str>>>()?;
    let is_twice = |(at, key): (usize, &&str)| keys.iter().take(at).any(|before| before == key);
    if keys.iter().enumerate().any(is_twice) {
        return None;
    }
    Some(limited(members)).filter(|list| !list.is_empty())
}

/// The key of a member of the standard's form.
fn key_of(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    let mut bytes = key.bytes();
    let is_key = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && bytes.all(|byte| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@')
        });
    // Printable, without a comma (which has ended it) and an equals sign, and no blank at its end (which was taken away).
    let is_value = !value.is_empty() && value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'=');
    (is_key && is_value && key.len() <= MAX_PART_BYTES && value.len() <= MAX_PART_BYTES).then_some(key)
}

fn limited(mut members: Vec<&str>) -> String {
    let len =
        |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>().saturating_sub(1);
    while len(&members) > MAX_BYTES {
        let long = members.iter().rposition(|member| member.len() > LONG_MEMBER_BYTES);
        members.remove(long.unwrap_or(members.len() - 1));
    }
    members.join(",")
}

/// The lists of the spans that are open, for the spans below them: a trace's list is the same everywhere in a process.
#[derive(Debug, Default)]
pub struct TraceStates {
    by_span: HashMap<[u8; 8], Weak<str>>,
    /// Above so many those are looked for whose spans have ended.
    clean_above: usize,
}

impl TraceStates {
    /// The span has this list, for as long as somebody keeps it.
    pub fn keep(&mut self, span_id: [u8; 8], list: &Arc<str>) {
        if self.by_span.len() > self.clean_above {
            self.by_span.retain(|_, list| list.strong_count() > 0);
            self.clean_above = 2 * self.by_span.len() + 64;
        }
        self.by_span.insert(span_id, Arc::downgrade(list));
    }

    /// The span has ended.
    pub fn forget(&mut self, span_id: [u8; 8]) {
        self.by_span.remove(&span_id);
    }

    /// The list of an open span.
    pub fn of(&self, span_id: [u8; 8]) -> Option<Arc<str>> {
        self.by_span.get(&span_id).and_then(Weak::upgrade)
    }
}

#[cfg(test)]
#[path = "trace_context_tests.rs"]
mod trace_context_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        parse(Text::whole(text.as_bytes()))
    }

    #[test]
    fn a_list_goes_on_as_it_came() {
        for list in ["congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a@b=1", "0x/y*_-=a b"] {
            assert_eq!(parsed(list).as_deref(), Some(list));
        }
        assert_eq!(parsed(" a=1\t, ,b=2 ,").as_deref(), Some("a=1,b=2"));
        for empty in ["", ",", " ,\t, "] {
            assert_eq!(parsed(empty).as_deref(), Some(""), "{empty:?} is a list of no members");
        }
    }

    #[test]
    fn what_is_no_list_is_void_as_a_whole() {
        let many = (0..33).map(|i| format!("k{i}=v")).collect::<Vec<_>>().join(",");
        let long = format!("k={}", "v".repeat(257));
        for list in
            ["a", "A=1", "=1", "a=", "a=b=c", "a=1,a=2", "a=\u{e9}", "_a=1", "a b=1", "a=1,b", &many, &long]
        {
            assert_eq!(parsed(list), None, "{list}");
        }
        assert_eq!(parse(Text::whole(b"a=\xff")), None);
        let longest = format!("{}={}", "k".repeat(256), "v".repeat(256));
        assert_eq!(parsed(&longest), None, "valid, and too long to be kept");
    }

    #[test]
    fn of_a_long_list_whole_members_go_the_long_ones_first() {
        let (long, short) = (format!("l={}", "x".repeat(130)), format!("s={}", "y".repeat(98)));
        let [s1, s2, l2] = [short.replace('s', "s1"), short.replace('s', "s2"), long.replace('l', "l2")];
        let list = [long.as_str(), &s1, &s2, &l2];
        let last = short.replace('s', "s3");
        let list = [list.as_slice(), &[&last, "z=1"]].concat();
        let kept = parsed(&list.join(",")).expect("a list");
        assert_eq!(kept, [list[0], list[1], list[2], list[4], list[5]].join(","));
        let many = (0..8).map(|i| short.replace('s', &format!("s{i}"))).collect::<Vec<_>>();
        assert_eq!(parsed(&many.join(",")), Some(many[..5].join(",")));
        let cut = Text { bytes: b"a=1,b=2", full_len: 2_000 };
        assert_eq!(parse(cut).as_deref(), Some("a=1"), "the last one may be cut");
    }

    #[test]
    fn a_list_is_known_as_long_as_its_span_is_open() {
        let (mut all, list) = (TraceStates::default(), Arc::<str>::from("a=1"));
        all.keep([1; 8], &list);
        assert_eq!(all.of([1; 8]).as_deref(), Some("a=1"));
        drop(list);
        assert_eq!(all.of([1; 8]), None);
        for id in 0..=255 {
            all.keep([id; 8], &Arc::from("b=1"));
        }
        assert!(all.by_span.len() < 200, "{}", all.by_span.len());
    }
}
