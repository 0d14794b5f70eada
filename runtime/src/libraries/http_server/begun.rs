//! A request that has begun, as it is kept until its end: what its span needs and no more. 65,536 may be open at once.

use runtime_ebpf::http_server::records::{
    BEGAN_HOST, BEGAN_METHOD, BEGAN_SLOT_COUNT, BEGAN_SLOTS, BEGAN_URI, BEGAN_USER_AGENT, Began,
    ROUTE_IF_NONE,
};
use runtime_ebpf::record::{self, ABSENT};

use super::more::{HeaderTexts, More, Route};
use super::records::BeganTexts;
use super::request_text::{self, Proof};
use crate::records::{DecodeError, Text};
use crate::spans::{Counts, Settings};

/// The method.
pub const METHOD: usize = BEGAN_METHOD;
/// The target.
pub const TARGET: usize = BEGAN_URI;
/// `Request.Host`.
pub const HOST: usize = BEGAN_HOST;
/// The first `User-Agent`.
pub const USER_AGENT: usize = BEGAN_USER_AGENT;
/// The socket's peer.
pub const PEER: usize = BEGAN_SLOT_COUNT;
/// Number of strings.
const TEXTS: usize = PEER + 1;

/// A begun request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The trace id.
    pub trace_id: [u8; 16],
    /// The span's id.
    pub span_id: [u8; 8],
    /// The parent's; zeros without one.
    pub parent_span_id: [u8; 8],
    /// CLOCK_MONOTONIC at the beginning.
    pub start_ns: u64,
    /// `g.goid` of the connection's goroutine.
    pub goid: u64,
    /// W3C trace flags.
    pub trace_flags: u8,
    /// Whether the parent came over the wire.
    pub parent_is_remote: bool,
    /// As in the record.
    pub tls: u8,
    /// `Request.ProtoMajor`; 0: not known.
    pub proto_major: u8,
    /// `Request.ProtoMinor`.
    pub proto_minor: u8,
    /// Whether it is known to have asked for another protocol.
    pub asks_upgrade: bool,
    /// All strings, one behind the other.
    texts: Box<[u8]>,
    /// What more its header says, and a router.
    pub more: Option<Box<More>>,
    /// How many bytes of `texts` are each one's.
    held: [u16; TEXTS],
    /// Bit by string: it is known.
    known: u8,
    /// Bit by string: it was longer.
    cut: u8,
}

/// Bytes of the allocator and of the table that a request costs beside what it holds itself (rounded up; `examples/joining` measures it).
const OVERHEAD_BYTES: usize = 128;

impl Begun {
    /// From the request's text; and whether a part of it had to be left out.
    pub fn from_wire(
        began: &Began,
        text: Text<'_>,
        names: &mut Vec<u64>,
        settings: &Settings,
        counts: &mut Counts,
    ) -> Result<(Self, bool), DecodeError> {
        let proof = Proof {
            method_len: began.method_len,
            target_len: began.uri_len,
            header_count: Some(began.header_count).filter(|count| *count != ABSENT),
            is_http10: (began.proto_major, began.proto_minor) == (1, 0),
        };
        let request = request_text::parse(text, proof, names)?;
        let mut texts: BeganTexts<'_> = [None; BEGAN_SLOT_COUNT];
        let found = [
            (METHOD, Some(request.method)),
            (TARGET, Some(request.target)),
            (HOST, request.host.as_deref().map(Text::whole)),
            (USER_AGENT, request.user_agent.as_deref().map(Text::whole)),
        ];
        for (slot, text) in found {
            if let Some(place) = texts.get_mut(slot) {
                *place = text;
            }
        }
        let mut begun = Self { asks_upgrade: request.asks_upgrade, ..Self::from_fields(began, &texts) };
        if let Some(more) = &request.more {
            let texts = more.each_ref().map(|text| text.as_deref().map(Text::whole));
            begun.add(&texts, settings, counts);
        }
        Ok((begun, request.unsure))
    }

    /// From its strings, of which no more is kept than their slots hold: whichever way they came, the span is the same.
    pub fn from_fields(began: &Began, texts: &BeganTexts<'_>) -> Self {
        let head = &began.head;
        let mut begun = Self {
            trace_id: head.trace_id,
            span_id: head.span_id,
            parent_span_id: head.parent_span_id,
            start_ns: head.start_ns,
            goid: began.goid,
            trace_flags: head.trace_flags,
            parent_is_remote: record::is_remote(head.parent),
            tls: began.tls,
            proto_major: began.proto_major,
            proto_minor: began.proto_minor,
            asks_upgrade: false,
            texts: Box::default(),
            more: None,
            held: [0; TEXTS],
            known: 0,
            cut: 0,
        };
        begun.keep(texts, Text::held_in(&began.peer, began.peer_len));
        begun
    }

    /// Adds what more its header says.
    pub fn add(&mut self, texts: &HeaderTexts<'_>, settings: &Settings, counts: &mut Counts) {
        let route = self.more.take().and_then(|more| more.route);
        self.more = More::new(texts, self.parent_is_remote, settings, counts);
        if route.is_some() {
            self.more.get_or_insert_default().route = route;
        }
    }

    /// Takes the route that a router has found: it stands in front of one that was found before, since a router that is called
    /// later is called by the other's handler, and knows more. One that counts only where there is none is the first that was found: it
    /// stands for the server's own, which is the outermost mux's.
    pub fn set_route(&mut self, text: Text<'_>, bits: u32) {
        let route = &mut self.more.get_or_insert_default().route;
        if bits & ROUTE_IF_NONE == 0 || route.is_none() {
            let text = (!text.is_cut()).then(|| text.bytes.into());
            *route = Some(Route { text, bits });
        }
    }

    /// Whether a router has said a route.
    pub fn has_route(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.route.is_some())
    }

    fn keep(&mut self, texts: &BeganTexts<'_>, peer: Option<Text<'_>>) {
        let limited = texts.iter().zip(BEGAN_SLOTS).map(|(text, size)| text.map(|text| text.up_to(size)));
        let all = limited.chain([peer]);
        let mut joined = Vec::with_capacity(all.clone().flatten().map(|text| text.bytes.len()).sum());
        for (slot, (text, held)) in all.zip(&mut self.held).enumerate() {
            let Some(text) = text else { continue };
            *held = u16::try_from(text.bytes.len()).unwrap_or(0);
            joined.extend_from_slice(text.bytes.get(..usize::from(*held)).unwrap_or_default());
            self.known |= 1 << slot;
            self.cut |= u8::from(text.is_cut()) << slot;
        }
        self.texts = joined.into_boxed_slice();
    }

    /// One of its strings; `None`: not known, or empty.
    pub fn non_empty(&self, slot: usize) -> Option<Text<'_>> {
        if self.known >> slot & 1 == 0 {
            return None;
        }
        let start: usize = self.held.iter().take(slot).map(|len| usize::from(*len)).sum();
        let len = usize::from(*self.held.get(slot)?);
        let bytes = self.texts.get(start..start + len)?;
        let is_cut = self.cut >> slot & 1 == 1;
        Some(Text { bytes, full_len: len + usize::from(is_cut) }).filter(|text| text.full_len > 0)
    }

    /// About how much memory it takes while it is open.
    pub fn held_bytes(&self) -> usize {
        let more = self.more.as_ref().map_or(0, |more| more.held_bytes());
        size_of::<Self>() + self.texts.len() + more + OVERHEAD_BYTES
    }
}

#[cfg(test)]
mod tests {
    use runtime_ebpf::http_server::records::KIND_BEGAN_FIELDS;

    use super::super::records::tests::some_began;
    use super::*;

    #[test]
    fn keeps_strings_cut_empty_or_absent() {
        let long = [b'm'; 40];
        let texts = [Some(Text::whole(&long)), Some(Text::whole(b"/")), Some(Text::whole(b"")), None];
        let begun = Begun::from_fields(&some_began(KIND_BEGAN_FIELDS), &texts);
        let method = begun.non_empty(METHOD).expect("a method");
        assert_eq!((method.bytes, method.is_cut()), (&long[..32], true));
        assert_eq!(begun.non_empty(TARGET), Some(Text::whole(b"/")));
        assert_eq!((begun.non_empty(HOST), begun.non_empty(USER_AGENT)), (None, None));
        assert_eq!(begun.non_empty(PEER), Some(Text::whole(b"127.0.0.1:5000")));
        assert_eq!(begun.texts.len(), 32 + 1 + 14);
    }

    #[test]
    fn a_begun_request_is_small() {
        assert!(size_of::<Begun>() <= 104, "{}", size_of::<Begun>());
    }
}
