//! The requests that have begun and not ended, and how an end finds its beginning.
//!
//! Within a process and a generation of it a request is named by the address of its `*response`, which both of its records
//! have; the span id must agree. Only an end from another goroutine than the handler's (a hijack there) has no span id: then the
//! address decides, and the peer that the response names, since an address is used again and an end may have been lost.
//!
//! | what comes | what becomes of it |
//! |---|---|
//! | a beginning | kept; an older request of the same goroutine or at the same address never ended |
//! | more of its header | kept with it |
//! | a route | kept with it, in place of one that came before: the last router that was asked is the innermost |
//! | a route of a request that is not there | dropped, and counted, unless it was given up |
//! | an end with its span id | its request's span; the request is forgotten |
//! | an end without a span id, of the same peer | its request's span; the span id is kept, since the connection's goroutine will say the end once more |
//! | the end once more | nothing |
//! | the end of a pushed stream | no span: no client has sent that request |
//! | an end whose beginning was given up | no span: that was counted then |
//! | an end whose beginning is not there | no span (nobody knows what was asked for), and counted |
//! | a whole record | a span |

use std::collections::HashMap;

use runtime_ebpf::{
    http_server::records::{Began, ENDED_CLIENT, ENDED_PATTERN, HOW_PUSHED, Routed},
    record::Head,
};

use super::begun::{Begun, PEER};
use super::more::HeaderTexts;
use super::records::{self, BeganTexts, EndedView, Record};
use super::span::span;
use crate::libraries::given_up::GivenUp;
use crate::libraries::join::{self, Count, SpanContext};
use crate::records::{DecodeError, Text};

/// Which part of what is kept goes when it has become too much.
const SHED_PART: usize = 16;

/// What is kept of a process: the open requests, and which of them is each goroutine's.
#[derive(Debug, Default)]
struct Process {
    /// It is known that it serves HTTP/2.
    http2: bool,
    /// It was said that a span lacks its route.
    has_wished: bool,
    by_response: HashMap<u64, Kept>,
    by_goid: HashMap<u64, u64>,
}

/// A request that the programs may still send an end of.
#[derive(Debug)]
struct Kept {
    goid: u64,
    span_id: [u8; 8],
    start_ns: u64,
    /// `None` once its span is made.
    open: Option<Box<Begun>>,
}

impl Kept {
    /// Whether an end that names no span comes from this request's connection: the address of a `*response` is used again, and
    /// the end of the one that was there before may have been lost. A peer without a port (a unix socket's) proves nothing.
    fn has_peer_of(&self, ended: &EndedView<'_>) -> bool {
        let Some(open) = &self.open else { return true };
        let peer = open.non_empty(PEER).map(|text| text.bytes);
        peer.is_some_and(|peer| peer.contains(&b':'))
            && peer == ended.non_empty(ENDED_CLIENT).map(|text| text.bytes)
    }

    fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.open.as_ref().map_or(0, |begun| begun.held_bytes())
    }
}

/// Joins the records of a library that serves HTTP.
#[derive(Debug, Default)]
pub struct Joiner {
    scope: &'static str,
    version: Option<(u8, u8)>,
    processes: HashMap<(u32, u32), Process>,
    held_bytes: usize,
    given_up: GivenUp,
    names: Vec<u64>,
    counts: Counted,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counted {
    never_ended: u64,
    beginning_missing: u64,
    open_at_exit: u64,
    too_many_open: u64,
    text_unsure: u64,
    ended_again: u64,
    ended_unknown: u64,
    pushed: u64,
    routes_alone: u64,
}

impl Joiner {
    /// One whose spans have this instrumentation scope.
    pub fn new(scope: &'static str) -> Self {
        Self { scope, ..Self::default() }
    }

    /// The same of a library that speaks one version of HTTP: a request that was upgraded says of itself what it was before.
    pub fn of_version(scope: &'static str, version: (u8, u8)) -> Self {
        Self { version: Some(version), ..Self::new(scope) }
    }

    /// What a beginning says, its strings one by one.
    fn begun(&self, mut began: Began, texts: &BeganTexts<'_>) -> Begun {
        if let Some(version) = self.version {
            (began.proto_major, began.proto_minor) = version;
        }
        Begun::from_fields(&began, texts)
    }

    fn began(&mut self, head: &Head, response: u64, begun: Begun) {
        self.displace(head, response, begun.goid);
        let process = self.processes.entry(key(head)).or_default();
        process.by_goid.insert(begun.goid, response);
        let kept = Kept {
            goid: begun.goid,
            span_id: begun.span_id,
            start_ns: begun.start_ns,
            open: Some(Box::new(begun)),
        };
        self.held_bytes += kept.held_bytes();
        process.by_response.insert(response, kept);
    }

    /// A request begins on this goroutine and at this address: what was there before is over.
    fn displace(&mut self, head: &Head, response: u64, goid: u64) {
        let Some(process) = self.processes.get_mut(&key(head)) else { return };
        for address in [process.by_goid.get(&goid).copied(), Some(response)].into_iter().flatten() {
            if let Some(before) = process.remove(address) {
                self.held_bytes = self.held_bytes.saturating_sub(before.held_bytes());
                self.counts.never_ended += u64::from(before.open.is_some());
            }
        }
    }

    /// More of what a beginning has said. Without one (it was given up) there is nothing to add to.
    fn headers(&mut self, head: &Head, response: u64, texts: &HeaderTexts<'_>, cx: &mut SpanContext<'_>) {
        let process = self.processes.get_mut(&key(head));
        let kept = process.and_then(|process| process.by_response.get_mut(&response));
        let Some(kept) = kept.filter(|kept| kept.span_id == head.span_id) else { return };
        let before = kept.held_bytes();
        if let Some(begun) = &mut kept.open {
            begun.add(texts, cx.settings, cx.counts);
            keep_trace_state(begun, cx);
        }
        self.held_bytes = (self.held_bytes + kept.held_bytes()).saturating_sub(before);
    }

    /// A router has found the request's route.
    fn routed(&mut self, head: &Head, routed: &Routed, text: Text<'_>) {
        let process = self.processes.get_mut(&key(head));
        let kept = process.and_then(|process| process.by_response.get_mut(&routed.response));
        let kept = kept.filter(|kept| kept.span_id == head.span_id);
        let Some(begun) = kept.and_then(|kept| kept.open.as_mut()) else {
            self.counts.routes_alone += u64::from(!self.given_up.has(head.span_id));
            return;
        };
        let before = begun.held_bytes();
        begun.set_route(text, routed.bits);
        self.held_bytes = (self.held_bytes + begun.held_bytes()).saturating_sub(before);
    }

    fn ended(&mut self, head: &Head, ended: &EndedView<'_>, cx: &mut SpanContext<'_>) {
        let response = ended.fixed.response;
        let process = self.processes.get_mut(&key(head));
        let kept =
            process.and_then(|process| Some((process.by_response.get_mut(&response)?.span_id, process)));
        let is_its_end = |(id, process): &(_, &mut Process)| match ended.names_its_span() {
            true => *id == head.span_id,
            false => process.by_response.get(&response).is_some_and(|kept| kept.has_peer_of(ended)),
        };
        let Some((span_id, process)) = kept.filter(is_its_end) else {
            // Without a span id it may be the end of a request that is not sampled, or that began before the agent.
            match ended.names_its_span() {
                true => self.counts.beginning_missing += u64::from(!self.given_up.end(head.span_id)),
                false => self.counts.ended_unknown += 1,
            }
            return;
        };
        let Some(mut kept) = process.remove(response) else { return };
        self.held_bytes = self.held_bytes.saturating_sub(kept.held_bytes());
        match kept.open.take() {
            Some(_) if ended.fixed.how == HOW_PUSHED => self.counts.pushed += 1,
            Some(begun) => {
                cx.trace_states.forget(begun.span_id);
                let lacks_route = lacks_route(&begun, ended);
                if lacks_route && !std::mem::replace(&mut process.has_wished, true) {
                    (cx.wish)();
                }
                (cx.emit)(&span(self.scope, &begun, ended, cx.clock, cx.settings, cx.counts));
            }
            None => self.counts.ended_again += 1,
        }
        if !ended.names_its_span() {
            self.held_bytes += kept.held_bytes();
            process.by_goid.insert(kept.goid, response);
            process.by_response.insert(response, Kept { span_id, ..kept });
        }
    }
}

impl Process {
    fn remove(&mut self, response: u64) -> Option<Kept> {
        let kept = self.by_response.remove(&response)?;
        if self.by_goid.get(&kept.goid) == Some(&response) {
            self.by_goid.remove(&kept.goid);
        }
        Some(kept)
    }
}

/// Spans below this one have its list too.
fn keep_trace_state(begun: &Begun, cx: &mut SpanContext<'_>) {
    if let Some(list) = begun.more.as_ref().and_then(|more| more.trace_state.as_ref()) {
        cx.trace_states.keep(begun.span_id, list);
    }
}

/// Whether a router may have had a route for it that nobody has told of. Who answers 404 or 405 has none mostly.
fn lacks_route(begun: &Begun, ended: &EndedView<'_>) -> bool {
    !begun.has_route() && ended.non_empty(ENDED_PATTERN).is_none() && !matches!(ended.fixed.status, 404 | 405)
}

fn key(head: &Head) -> (u32, u32) {
    (head.tgid, head.generation)
}

impl join::Joiner for Joiner {
    fn record(&mut self, head: &Head, bytes: &[u8], cx: &mut SpanContext<'_>) -> Result<(), DecodeError> {
        match records::decode(head, bytes)? {
            Record::BeganWire(began, text) => {
                let (begun, unsure) =
                    Begun::from_wire(&began, text, &mut self.names, cx.settings, cx.counts)?;
                keep_trace_state(&begun, cx);
                self.counts.text_unsure += u64::from(unsure);
                self.began(head, began.response, begun);
            }
            Record::BeganFields(began, texts) => {
                let begun = self.begun(began, &texts);
                self.began(head, began.response, begun);
            }
            Record::Headers(headers, texts) => self.headers(head, headers.response, &texts, cx),
            Record::Route(routed, text) => self.routed(head, &routed, text),
            Record::Ended(ended) => self.ended(head, &ended, cx),
            Record::Http2 => {
                let process = self.processes.entry(key(head)).or_default();
                if !std::mem::replace(&mut process.http2, true) {
                    (cx.tell)("serves HTTP/2, whose requests are not traced");
                }
            }
            Record::Whole(ended, began, texts, more) => {
                self.displace(head, began.response, began.goid);
                if ended.fixed.how == HOW_PUSHED {
                    self.counts.pushed += 1;
                    return Ok(());
                }
                let mut begun = self.begun(began, &texts);
                if let Some(more) = more {
                    begun.add(&more, cx.settings, cx.counts);
                }
                (cx.emit)(&span(self.scope, &begun, &ended, cx.clock, cx.settings, cx.counts));
            }
        }
        Ok(())
    }

    fn forget(&mut self, tgid: u32, generation: u32) {
        let Some(process) = self.processes.remove(&(tgid, generation)) else { return };
        for kept in process.by_response.values() {
            self.held_bytes = self.held_bytes.saturating_sub(kept.held_bytes());
            self.counts.open_at_exit += u64::from(kept.open.is_some());
        }
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn shed(&mut self) {
        // Of the process that has most: what one never ends, nobody else misses.
        let largest = self.processes.values_mut().max_by_key(|process| process.by_response.len());
        let Some(process) = largest.filter(|process| !process.by_response.is_empty()) else {
            self.held_bytes = 0;
            return;
        };
        let mut starts: Vec<u64> = process.by_response.values().map(|kept| kept.start_ns).collect();
        let last = starts.len() / SHED_PART;
        let oldest = *starts.select_nth_unstable(last).1;
        process.by_response.retain(|_, kept| {
            let stays = kept.start_ns > oldest;
            if !stays {
                self.held_bytes = self.held_bytes.saturating_sub(kept.held_bytes());
                self.counts.too_many_open += u64::from(kept.open.is_some());
                self.given_up.add(kept.span_id);
            }
            stays
        });
        process.by_goid.retain(|_, response| process.by_response.contains_key(response));
    }

    fn counters(&self) -> Vec<Count> {
        let loss = |name, value| Count { name, value, is_loss: true };
        let other = |name, value| Count { name, value, is_loss: false };
        let counts = &self.counts;
        vec![
            loss("spans.lost.never_ended", counts.never_ended),
            loss("spans.lost.beginning_missing", counts.beginning_missing),
            loss("spans.lost.open_at_exit", counts.open_at_exit),
            loss("spans.lost.too_many_open", counts.too_many_open),
            loss("http_server.text_unsure", counts.text_unsure),
            other("http_server.ended_again", counts.ended_again),
            other("http_server.ended_unknown", counts.ended_unknown),
            other("http_server.pushed", counts.pushed),
            other("http_server.routes_alone", counts.routes_alone),
        ]
    }
}

#[cfg(test)]
#[path = "joiner_tests.rs"]
mod tests;
