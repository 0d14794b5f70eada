//! The records of HTTP servers, as checked views. Their layout is in `runtime_ebpf::http_server::records`.

use runtime_ebpf::http_server::records::{
    BEGAN_SHORT_SLOTS, BEGAN_SLOT_COUNT, BEGAN_SLOTS, Began, ENDED_LARGE_SLOTS, ENDED_SLOT_COUNT,
    ENDED_SLOTS, Ended, HEADERS_SLOTS, Headers, KIND_BEGAN_FIELDS, KIND_BEGAN_SHORT, KIND_BEGAN_WIRE,
    KIND_ENDED, KIND_ENDED_LARGE, KIND_ENDED_WHOLE, KIND_ENDED_WHOLE_MORE, KIND_HEADERS, KIND_HTTP2,
    KIND_ROUTE, Routed,
};
use runtime_ebpf::record::Head;

use super::more::HeaderTexts;
use crate::records::{DecodeError, Plain, Text, read, slots};

// SAFETY: repr(C), integers and arrays of them; runtime-ebpf's tests pin that it has no padding.
unsafe impl Plain for Began {}
// SAFETY: as above.
unsafe impl Plain for Ended {}
// SAFETY: as above.
unsafe impl Plain for Headers {}
// SAFETY: as above.
unsafe impl Plain for Routed {}

/// The strings of a beginning that were taken from the target's structs, in the order of the `BEGAN_` slots.
pub type BeganTexts<'a> = [Option<Text<'a>>; BEGAN_SLOT_COUNT];

/// A record whose frame has been checked.
#[derive(Debug, Clone)]
pub enum Record<'a> {
    /// A request has begun; its text as it came over the wire.
    BeganWire(Began, Text<'a>),
    /// A request has begun; its strings one by one.
    BeganFields(Began, BeganTexts<'a>),
    /// More of the header of a request that has begun.
    Headers(Headers, HeaderTexts<'a>),
    /// A router has found the route of a request that has begun.
    Route(Routed, Text<'a>),
    /// A request has ended.
    Ended(EndedView<'a>),
    /// A request has ended whose beginning was not sent.
    Whole(EndedView<'a>, Began, BeganTexts<'a>, Option<Box<HeaderTexts<'a>>>),
    /// The process serves HTTP/2.
    Http2,
}

/// An end with its strings.
#[derive(Debug, Clone, Copy)]
pub struct EndedView<'a> {
    /// The fixed part.
    pub fixed: Ended,
    texts: [Option<Text<'a>>; ENDED_SLOT_COUNT],
}

impl<'a> EndedView<'a> {
    /// The string of an `ENDED_` slot, unless it is absent or empty.
    pub fn non_empty(&self, slot: usize) -> Option<Text<'a>> {
        self.texts.get(slot).copied().flatten().filter(|text| text.full_len > 0)
    }

    /// Whether it names its span: otherwise the request was ended from another goroutine.
    pub fn names_its_span(&self) -> bool {
        self.fixed.head.span_id != [0; 8]
    }
}

/// Decodes the record that `head` begins; `bytes` is all of it that means something ([`crate::records::head`]).
pub fn decode<'a>(head: &Head, bytes: &'a [u8]) -> Result<Record<'a>, DecodeError> {
    match head.kind {
        KIND_BEGAN_WIRE => {
            let began = began(bytes, 0)?;
            let text = bytes.get(size_of::<Began>()..).unwrap_or_default();
            let text = Text::held_in(text, began.text_len).unwrap_or(Text::whole(&[]));
            Ok(Record::BeganWire(began, text))
        }
        KIND_BEGAN_FIELDS => began_fields(bytes, &BEGAN_SLOTS),
        KIND_BEGAN_SHORT => began_fields(bytes, &BEGAN_SHORT_SLOTS),
        KIND_HEADERS => {
            let (headers, texts) = headers(bytes, 0)?;
            Ok(Record::Headers(headers, texts))
        }
        KIND_ROUTE => {
            let routed: Routed = read(bytes, 0)?;
            ids(&routed.head)?;
            let text = bytes.get(size_of::<Routed>()..).unwrap_or_default();
            Ok(Record::Route(routed, Text::held_in(text, routed.len).unwrap_or(Text::whole(&[]))))
        }
        KIND_ENDED => Ok(Record::Ended(ended(bytes, &ENDED_SLOTS)?)),
        KIND_ENDED_LARGE => Ok(Record::Ended(ended(bytes, &ENDED_LARGE_SLOTS)?)),
        KIND_ENDED_WHOLE | KIND_ENDED_WHOLE_MORE => {
            let ended = ended(bytes, &ENDED_LARGE_SLOTS)?;
            let at = WHOLE_BEGAN_AT;
            let began = began(bytes, at)?;
            let texts = slots(bytes, at + size_of::<Began>(), &BEGAN_SLOTS, &began.lens)?;
            let has_more = head.kind == KIND_ENDED_WHOLE_MORE;
            let more = has_more.then(|| headers(bytes, WHOLE_HEADERS_AT)).transpose()?;
            Ok(Record::Whole(ended, began, texts, more.map(|(_, texts)| Box::new(texts))))
        }
        KIND_HTTP2 => Ok(Record::Http2),
        kind => Err(DecodeError::UnknownKind(kind)),
    }
}

/// Where a KIND_ENDED_WHOLE record has its `Began`.
const WHOLE_BEGAN_AT: usize = size_of::<Ended>() + ENDED_LARGE_SLOTS[0] + ENDED_LARGE_SLOTS[1];
/// And one of KIND_ENDED_WHOLE_MORE its `Headers`.
const WHOLE_HEADERS_AT: usize = {
    let [a, b, c, d] = BEGAN_SLOTS;
    WHOLE_BEGAN_AT + size_of::<Began>() + a + b + c + d
};

fn headers(bytes: &[u8], at: usize) -> Result<(Headers, HeaderTexts<'_>), DecodeError> {
    let headers: Headers = read(bytes, at)?;
    ids(&headers.head)?;
    Ok((headers, slots(bytes, at + size_of::<Headers>(), &HEADERS_SLOTS, &headers.lens)?))
}

fn began(bytes: &[u8], at: usize) -> Result<Began, DecodeError> {
    let began: Began = read(bytes, at)?;
    ids(&began.head)?;
    Ok(began)
}

fn began_fields<'a>(bytes: &'a [u8], sizes: &[usize; BEGAN_SLOT_COUNT]) -> Result<Record<'a>, DecodeError> {
    let began = began(bytes, 0)?;
    Ok(Record::BeganFields(began, slots(bytes, size_of::<Began>(), sizes, &began.lens)?))
}

/// An end without a span id has no trace id either.
fn ended<'a>(bytes: &'a [u8], sizes: &[usize; ENDED_SLOT_COUNT]) -> Result<EndedView<'a>, DecodeError> {
    let fixed: Ended = read(bytes, 0)?;
    let view = EndedView { fixed, texts: slots(bytes, size_of::<Ended>(), sizes, &fixed.lens)? };
    if view.names_its_span() {
        ids(&fixed.head)?;
    }
    Ok(view)
}

fn ids(head: &Head) -> Result<(), DecodeError> {
    if head.trace_id == [0; 16] {
        return Err(DecodeError::ZeroId("trace id"));
    }
    if head.span_id == [0; 8] {
        return Err(DecodeError::ZeroId("span id"));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use runtime_ebpf::http_server::records::{HOW_FINISHED, PEER_BYTES};
    use runtime_ebpf::libraries::NET_HTTP_SERVER;
    use runtime_ebpf::record::ABSENT;

    use super::*;
    use crate::records;
    use crate::records::tests::{bytes_of, fill, some_head};

    /// A beginning of HTTP/1.1 from a peer, without strings.
    pub fn some_began(kind: u16) -> Began {
        let mut peer = [0; PEER_BYTES];
        peer[..14].copy_from_slice(b"127.0.0.1:5000");
        Began {
            head: some_head(NET_HTTP_SERVER.code, kind),
            response: 0xc000_1000,
            goid: 7,
            content_length: 0,
            header_count: 0,
            method_len: 0,
            uri_len: 0,
            text_len: 0,
            peer_len: 14,
            tls: 0,
            proto_major: 1,
            proto_minor: 1,
            reserved: 0,
            peer,
            lens: [ABSENT; BEGAN_SLOT_COUNT],
        }
    }

    /// The end of [`some_began`], with status 200.
    pub fn some_ended(kind: u16) -> Ended {
        let mut head = some_head(NET_HTTP_SERVER.code, kind);
        head.end_ns = 2_000;
        let lens = [ABSENT; ENDED_SLOT_COUNT];
        Ended { head, response: 0xc000_1000, status: 200, how: HOW_FINISHED, reserved: [0; 3], lens }
    }

    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let len = u32::try_from(bytes.len()).expect("a record fits u32");
        bytes[4..8].copy_from_slice(&len.to_ne_bytes());
        bytes
    }

    /// A KIND_BEGAN_WIRE record.
    pub fn began_wire(mut began: Began, text: &[u8]) -> Vec<u8> {
        began.head.kind = KIND_BEGAN_WIRE;
        began.text_len = u32::try_from(text.len()).expect("text");
        sealed([bytes_of(&began), text.to_vec()].concat())
    }

    /// A KIND_BEGAN_FIELDS record.
    pub fn began_fields(began: Began, texts: &[Option<&[u8]>; BEGAN_SLOT_COUNT]) -> Vec<u8> {
        with_strings(KIND_BEGAN_FIELDS, &BEGAN_SLOTS, began, texts)
    }

    /// A KIND_BEGAN_SHORT record.
    pub fn began_short(began: Began, texts: &[Option<&[u8]>; BEGAN_SLOT_COUNT]) -> Vec<u8> {
        with_strings(KIND_BEGAN_SHORT, &BEGAN_SHORT_SLOTS, began, texts)
    }

    fn with_strings(
        kind: u16,
        sizes: &[usize; BEGAN_SLOT_COUNT],
        mut began: Began,
        texts: &[Option<&[u8]>; BEGAN_SLOT_COUNT],
    ) -> Vec<u8> {
        began.head.kind = kind;
        let (slots, lens) = fill(sizes, texts);
        began.lens = lens;
        sealed([bytes_of(&began), slots].concat())
    }

    /// A KIND_ENDED or KIND_ENDED_LARGE record.
    pub fn ended(mut ended: Ended, texts: &[Option<&[u8]>; ENDED_SLOT_COUNT]) -> Vec<u8> {
        let sizes = if ended.head.kind == KIND_ENDED { &ENDED_SLOTS } else { &ENDED_LARGE_SLOTS };
        let (slots, lens) = fill(sizes, texts);
        ended.lens = lens;
        sealed([bytes_of(&ended), slots].concat())
    }

    /// A KIND_ENDED_WHOLE record.
    pub fn whole(mut end: Ended, began: Began, texts: &[Option<&[u8]>; BEGAN_SLOT_COUNT]) -> Vec<u8> {
        end.head.kind = KIND_ENDED_WHOLE;
        sealed([ended(end, &[None; ENDED_SLOT_COUNT]), began_fields(began, texts)].concat())
    }

    /// A KIND_ENDED_WHOLE_MORE record.
    pub fn whole_with(
        mut end: Ended,
        began: Began,
        texts: &[Option<&[u8]>; BEGAN_SLOT_COUNT],
        more: &[Option<&[u8]>; HEADERS_SLOTS.len()],
    ) -> Vec<u8> {
        end.head.kind = KIND_ENDED_WHOLE_MORE;
        let end = ended(end, &[None; ENDED_SLOT_COUNT]);
        sealed([end, began_fields(began, texts), headers(began, more)].concat())
    }

    /// More of a beginning's header.
    pub fn headers(began: Began, texts: &[Option<&[u8]>; HEADERS_SLOTS.len()]) -> Vec<u8> {
        let (slots, lens) = fill(&HEADERS_SLOTS, texts);
        let lens = lens.map(|len| if len == ABSENT { 0 } else { len });
        let head = Head { kind: KIND_HEADERS, ..began.head };
        sealed([bytes_of(&Headers { head, response: began.response, lens, reserved: 0 }), slots].concat())
    }

    /// A router's record.
    pub fn route(began: Began, text: &[u8], full_len: usize, bits: u32) -> Vec<u8> {
        let head = Head { kind: KIND_ROUTE, ..began.head };
        let len = u32::try_from(full_len).expect("a length");
        let fixed = Routed { head, response: began.response, len, bits };
        sealed([bytes_of(&fixed), text.to_vec()].concat())
    }

    fn decoded(bytes: &[u8]) -> Result<Record<'_>, DecodeError> {
        let (head, meant) = records::head(bytes)?;
        decode(&head, meant)
    }

    fn one_of_each() -> Vec<Vec<u8>> {
        let texts: [Option<&[u8]>; BEGAN_SLOT_COUNT] = [Some(b"GET"), Some(b"/"), None, None];
        vec![
            began_wire(some_began(KIND_BEGAN_WIRE), b"GET / HTTP/1.1\r\n\r\n"),
            began_fields(some_began(KIND_BEGAN_FIELDS), &texts),
            began_short(some_began(KIND_BEGAN_SHORT), &texts),
            ended(some_ended(KIND_ENDED), &[Some(b"/"), None]),
            ended(some_ended(KIND_ENDED_LARGE), &[Some(b"/"), None]),
            whole(some_ended(KIND_ENDED_WHOLE), some_began(KIND_BEGAN_FIELDS), &texts),
            headers(some_began(KIND_BEGAN_FIELDS), &[None; HEADERS_SLOTS.len()]),
            whole_with(
                some_ended(KIND_ENDED_WHOLE_MORE),
                some_began(KIND_BEGAN_FIELDS),
                &texts,
                &[None; HEADERS_SLOTS.len()],
            ),
            route(some_began(KIND_ROUTE), b"/a/{id}", 7, 0),
        ]
    }

    #[test]
    fn every_prefix_of_a_record_is_truncated() {
        for bytes in one_of_each() {
            decoded(&bytes).expect("whole");
            for len in 0..bytes.len() {
                let error = decoded(&bytes[..len]).expect_err("a prefix");
                assert_eq!(error.reason(), "truncated", "kind {} cut at {len}", bytes[2]);
            }
        }
    }

    #[test]
    fn a_length_that_lies_finds_no_strings_where_none_are() {
        for (kind, mut bytes) in one_of_each().into_iter().enumerate() {
            bytes[4..8].copy_from_slice(&120u32.to_ne_bytes());
            assert_eq!(decoded(&bytes).expect_err("too short").reason(), "truncated", "{kind}");
        }
    }

    #[test]
    fn kinds_and_ids_are_checked() {
        for (at, with, reason) in [(2, 0u8, "unknown_kind"), (2, 99, "unknown_kind")] {
            for mut bytes in one_of_each() {
                bytes[at] = with;
                assert_eq!(decoded(&bytes).expect_err("bad").reason(), reason);
            }
        }
        for mut bytes in one_of_each() {
            bytes[32..48].fill(0);
            assert_eq!(decoded(&bytes).expect_err("no trace id"), DecodeError::ZeroId("trace id"));
        }
        let mut bytes = one_of_each().swap_remove(0);
        bytes[48..56].fill(0);
        assert_eq!(decoded(&bytes).expect_err("no span id"), DecodeError::ZeroId("span id"));
    }

    #[test]
    fn an_end_from_another_goroutine_has_no_ids() {
        let mut fixed = some_ended(KIND_ENDED);
        (fixed.head.trace_id, fixed.head.span_id) = ([0; 16], [0; 8]);
        let bytes = ended(fixed, &[None, None]);
        let Ok(Record::Ended(view)) = decoded(&bytes) else { panic!("an end") };
        assert!(!view.names_its_span());
    }

    #[test]
    fn a_text_may_be_cut() {
        let mut began = some_began(KIND_BEGAN_WIRE);
        let mut bytes = began_wire(began, b"GET / HT");
        began.text_len = 4_000;
        bytes[..size_of::<Began>()].copy_from_slice(&bytes_of(&began));
        let bytes = sealed(bytes);
        let Ok(Record::BeganWire(_, text)) = decoded(&bytes) else { panic!("a beginning") };
        assert_eq!((text.bytes, text.full_len), (b"GET / HT".as_slice(), 4_000));
    }
}
