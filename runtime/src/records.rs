//! Decoding of ring-buffer records: raw bytes to checked views, without judging what they mean.
//!
//! What comes from the kernel side was copied out of another process's memory and is trusted no further than that: a length
//! decides nothing before it has been compared with the slot and with the bytes that are there. Strings stay borrowed from
//! the record. Pure: no I/O, no counters; the caller counts the errors by [`DecodeError::reason`].
//!
//! Not here: what the fields mean as a span ([`crate::spans`]).

use runtime_ebpf::net_http_server::{
    ABSENT, AS_PEER, KIND_LARGE, KIND_SMALL, LARGE, Record, SLOT_CLIENT, SLOT_COUNT, SLOT_PEER, SMALL, Slots,
    record_bytes, slot_offset,
};

/// A record that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than a record of its kind has.
    #[error("record is {got} bytes, {needed} needed")]
    Truncated {
        /// Bytes that a record of this kind has at least.
        needed: usize,
        /// Bytes that were there.
        got: usize,
    },
    /// Neither `KIND_SMALL` nor `KIND_LARGE`.
    #[error("record of unknown kind {0}: are the eBPF object and the agent of the same version?")]
    UnknownKind(u32),
    /// A trace or span id of zeros, which OTLP forbids.
    #[error("record with an all-zero {0}")]
    ZeroId(&'static str),
}

impl DecodeError {
    /// A short constant name for counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::UnknownKind(_) => "unknown_kind",
            Self::ZeroId(_) => "zero_id",
        }
    }
}

/// A string as it lies in its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// What the slot holds of it.
    pub bytes: &'a [u8],
    /// Its length in the target: larger than `bytes` if the slot cut it.
    pub full_len: usize,
}

impl Text<'_> {
    /// Whether the slot holds less than the target's string.
    pub fn is_cut(&self) -> bool {
        self.full_len > self.bytes.len()
    }
}

/// A record whose frame has been checked.
#[derive(Debug, Clone, Copy)]
pub struct Decoded<'a> {
    /// The fixed part.
    pub record: Record,
    texts: [Option<Text<'a>>; SLOT_COUNT],
}

impl<'a> Decoded<'a> {
    /// The string of a `SLOT_` constant; `None` if it could not be read.
    pub fn text(&self, slot: usize) -> Option<Text<'a>> {
        self.texts.get(slot).copied().flatten()
    }

    /// The string of a slot, unless it is absent or empty.
    pub fn non_empty(&self, slot: usize) -> Option<Text<'a>> {
        self.text(slot).filter(|text| text.full_len > 0)
    }
}

/// Decodes one record. Bytes after it (the ring rounds sizes up) are ignored.
pub fn decode(bytes: &[u8]) -> Result<Decoded<'_>, DecodeError> {
    let record = read_record(bytes)?;
    let slots = match record.kind {
        KIND_SMALL => &SMALL,
        KIND_LARGE => &LARGE,
        kind => return Err(DecodeError::UnknownKind(kind)),
    };
    let needed = record_bytes(slots);
    if bytes.len() < needed {
        return Err(DecodeError::Truncated { needed, got: bytes.len() });
    }
    if record.trace_id == [0; 16] {
        return Err(DecodeError::ZeroId("trace id"));
    }
    if record.span_id == [0; 8] {
        return Err(DecodeError::ZeroId("span id"));
    }
    Ok(Decoded { record, texts: std::array::from_fn(|slot| read_text(bytes, &record, slots, slot)) })
}

fn read_record(bytes: &[u8]) -> Result<Record, DecodeError> {
    let needed = size_of::<Record>();
    if bytes.len() < needed {
        return Err(DecodeError::Truncated { needed, got: bytes.len() });
    }
    // SAFETY: the bytes cover a whole Record (checked above), which is repr(C) and made of integers and byte arrays only, so
    // every bit pattern is a value; read_unaligned asks for no alignment.
    Ok(unsafe { bytes.as_ptr().cast::<Record>().read_unaligned() })
}

fn read_text<'a>(bytes: &'a [u8], record: &Record, slots: &Slots, slot: usize) -> Option<Text<'a>> {
    let len = *record.lens.get(slot)?;
    match len {
        ABSENT => return None,
        AS_PEER if slot == SLOT_CLIENT => return read_text(bytes, record, slots, SLOT_PEER),
        _ => {}
    }
    let full_len = usize::try_from(len).ok()?;
    let held = full_len.min(*slots.get(slot)?);
    let start = slot_offset(slots, slot);
    let bytes = bytes.get(start..start.checked_add(held)?)?;
    Some(Text { bytes, full_len })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use runtime_ebpf::net_http_server::{SLOT_HOST, SLOT_METHOD, SLOT_QUERY, SLOT_URI};

    /// An empty record of this kind, with ids, all strings absent.
    pub(crate) fn record(kind: u32) -> Record {
        Record {
            kind,
            tgid: 42,
            start_ns: 1_000,
            end_ns: 2_000,
            trace_id: [7; 16],
            span_id: [9; 8],
            parent_span_id: [0; 8],
            trace_flags: 1,
            panicked: 0,
            hijacked: 0,
            tls: 0,
            uri_kind: 0,
            has_query: 0,
            reserved: 0,
            status: 200,
            proto_major: 1,
            proto_minor: 1,
            lens: [ABSENT; SLOT_COUNT],
        }
    }

    /// The bytes of a record with these strings, cut as the kernel side cuts them.
    pub(crate) fn encode(mut record: Record, texts: &[(usize, &[u8])]) -> Vec<u8> {
        let slots = if record.kind == KIND_LARGE { &LARGE } else { &SMALL };
        let mut bytes = vec![0u8; record_bytes(slots)];
        for (slot, text) in texts {
            record.lens[*slot] = u32::try_from(text.len()).expect("test string fits u32");
            let held = text.len().min(slots[*slot]);
            let start = slot_offset(slots, *slot);
            bytes[start..start + held].copy_from_slice(&text[..held]);
        }
        // SAFETY: a Record is plain integers without padding (pinned below), so it can be viewed as bytes.
        let head = unsafe {
            std::slice::from_raw_parts(std::ptr::from_ref(&record).cast::<u8>(), size_of::<Record>())
        };
        bytes[..head.len()].copy_from_slice(head);
        bytes
    }

    #[test]
    fn the_record_has_no_padding() {
        assert_eq!(size_of::<Record>(), 4 + 4 + 8 + 8 + 16 + 8 + 8 + 6 + 2 + 4 + 2 + 2 + 4 * SLOT_COUNT);
    }

    #[test]
    fn strings_are_held_cut_empty_or_absent() {
        let long = vec![b'x'; 300];
        let bytes = encode(record(KIND_SMALL), &[(SLOT_METHOD, b"GET"), (SLOT_URI, &long), (SLOT_HOST, b"")]);
        let decoded = decode(&bytes).expect("decodes");
        assert_eq!(decoded.text(SLOT_METHOD), Some(Text { bytes: b"GET", full_len: 3 }));
        let uri = decoded.text(SLOT_URI).expect("uri");
        assert_eq!((uri.bytes.len(), uri.full_len, uri.is_cut()), (256, 300, true));
        assert_eq!(decoded.text(SLOT_HOST), Some(Text { bytes: b"", full_len: 0 }));
        assert_eq!(decoded.non_empty(SLOT_HOST), None);
        assert_eq!(decoded.text(SLOT_QUERY), None);
        assert_eq!(decoded.text(SLOT_COUNT), None);
    }

    #[test]
    fn every_prefix_of_a_record_is_truncated() {
        for kind in [KIND_SMALL, KIND_LARGE] {
            let bytes = encode(record(kind), &[(SLOT_METHOD, b"GET")]);
            for len in 0..bytes.len() {
                let error = decode(&bytes[..len]).expect_err("truncated");
                assert_eq!(error.reason(), "truncated", "{kind} cut at {len}");
            }
            decode(&bytes).expect("whole");
            let padded = [bytes.as_slice(), &[0xff; 7]].concat();
            decode(&padded).expect("padded by the ring");
            decode(&[&[0], bytes.as_slice()].concat()[1..]).expect("unaligned");
        }
    }

    #[test]
    fn absurd_lengths_are_cut_to_the_slot() {
        let mut absurd = record(KIND_SMALL);
        absurd.lens = [AS_PEER - 1; SLOT_COUNT];
        let bytes = encode(absurd, &[]);
        let decoded = decode(&bytes).expect("decodes");
        for (slot, size) in SMALL.iter().enumerate() {
            assert_eq!(decoded.text(slot).expect("there").bytes.len(), *size);
        }
    }

    #[test]
    fn a_client_that_is_the_peer_has_the_peers_text() {
        let mut same = record(KIND_SMALL);
        (same.lens[SLOT_PEER], same.lens[SLOT_CLIENT]) = (4, AS_PEER);
        let bytes = encode(same, &[(SLOT_PEER, b"[::]")]);
        let decoded = decode(&bytes).expect("decodes");
        assert_eq!(decoded.text(SLOT_CLIENT), decoded.text(SLOT_PEER));
        assert_eq!(decoded.text(SLOT_CLIENT).map(|text| text.bytes), Some(b"[::]".as_slice()));
    }

    #[test]
    fn kinds_and_ids_are_checked() {
        for (change, reason) in [
            ((|r: &mut Record| r.kind = 0) as fn(&mut Record), "unknown_kind"),
            (|r| r.kind = 3, "unknown_kind"),
            (|r| r.trace_id = [0; 16], "zero_id"),
            (|r| r.span_id = [0; 8], "zero_id"),
        ] {
            let mut bad = record(KIND_SMALL);
            change(&mut bad);
            assert_eq!(decode(&encode(bad, &[])).expect_err("bad").reason(), reason);
        }
    }
}
