//! The records of segmentio/kafka-go, as checked views. Their layout is in `runtime_ebpf::kafka_go::records`.

use runtime_ebpf::{
    kafka_go::records::{
        Joined, KIND_COMMITTED, KIND_POLLED, KIND_SENT, Outcome, POLLED_SLOT_COUNT, POLLED_SLOTS,
        PRODUCING_SLOT_COUNT, PRODUCING_SLOTS, Polled, Produced, Producing, SENT_SLOT_COUNT, SENT_SLOTS,
        Sent,
    },
    record::Head,
};

use crate::libraries::errors::ErrorTexts;
use crate::records::{DecodeError, Plain, Text, read, slots};

// SAFETY: repr(C), integers and arrays of them; runtime-ebpf's tests pin that it has no padding.
unsafe impl Plain for Sent {}
// SAFETY: as above.
unsafe impl Plain for Polled {}
// SAFETY: as above.
unsafe impl Plain for Joined {}
// SAFETY: as above.
unsafe impl Plain for Producing {}
// SAFETY: as above.
unsafe impl Plain for Produced {}

/// What happened, in a record whose frame has been checked.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// Messages were written.
    Sent(Sent, [Option<Text<'a>>; SENT_SLOT_COUNT]),
    /// Messages were committed.
    Committed(Sent, [Option<Text<'a>>; SENT_SLOT_COUNT]),
    /// A message was waited for.
    Polled(Polled, [Option<Text<'a>>; POLLED_SLOT_COUNT]),
}

/// The same, and how it ended.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub what: What<'a>,
    pub outcome: Outcome,
    pub error: ErrorTexts<'a>,
}

/// Decodes the record that `head` begins; `bytes` is all of it that means something ([`crate::records::head`]).
pub fn decode<'a>(head: &Head, bytes: &'a [u8]) -> Result<Record<'a>, DecodeError> {
    let (what, outcome, errors_at) = match head.kind {
        KIND_SENT | KIND_COMMITTED => {
            let fixed: Sent = read(bytes, 0)?;
            let texts = slots(bytes, size_of::<Sent>(), &SENT_SLOTS, &fixed.lens)?;
            let behind = size_of::<Sent>() + SENT_SLOTS.iter().sum::<usize>();
            let what = if head.kind == KIND_SENT { What::Sent } else { What::Committed };
            (what(fixed, texts), fixed.outcome, behind)
        }
        KIND_POLLED => {
            let fixed: Polled = read(bytes, 0)?;
            let texts = slots(bytes, size_of::<Polled>(), &POLLED_SLOTS, &fixed.lens)?;
            let behind = size_of::<Polled>() + POLLED_SLOTS.iter().sum::<usize>();
            (What::Polled(fixed, texts), fixed.outcome, behind)
        }
        kind => return Err(DecodeError::UnknownKind(kind)),
    };
    let error = ErrorTexts::read(bytes, errors_at, &outcome.lens)?;
    if head.trace_id == [0; 16] {
        return Err(DecodeError::ZeroId("trace id"));
    }
    if head.span_id == [0; 8] {
        return Err(DecodeError::ZeroId("span id"));
    }
    Ok(Record { what, outcome, error })
}

/// A KIND_JOINED or KIND_MADE record.
pub fn joined(bytes: &[u8]) -> Result<Joined, DecodeError> {
    read(bytes, 0)
}

/// A KIND_PRODUCING record: its topic and the brokers' address beside it.
pub fn producing(bytes: &[u8]) -> Result<(Producing, [Option<Text<'_>>; PRODUCING_SLOT_COUNT]), DecodeError> {
    let fixed: Producing = read(bytes, 0)?;
    let texts = slots(bytes, size_of::<Producing>(), &PRODUCING_SLOTS, &fixed.lens)?;
    Ok((fixed, texts))
}

/// A KIND_PRODUCED record, and its error's strings.
pub fn produced(bytes: &[u8]) -> Result<(Produced, ErrorTexts<'_>), DecodeError> {
    let fixed: Produced = read(bytes, 0)?;
    Ok((fixed, ErrorTexts::read(bytes, size_of::<Produced>(), &fixed.outcome.lens)?))
}

#[cfg(test)]
mod tests {
    use runtime_ebpf::{
        kafka_go::records::{OUTCOME_DONE, OUTCOME_FAILED},
        libraries::KAFKA_GO,
        record::ABSENT,
    };

    use super::*;
    use crate::libraries::errors::tests::written;
    use crate::records::tests::{bytes_of, fill, some_head};

    /// A whole record: its length is written into its head.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let len = u32::try_from(bytes.len()).expect("short");
        bytes[4..8].copy_from_slice(&len.to_ne_bytes());
        bytes
    }

    fn sent(kind: u16) -> Vec<u8> {
        let (slots, lens) = fill(&SENT_SLOTS, &[Some(b"orders"), Some(b"broker:9092"), None, Some(b"key")]);
        let (errors, error_lens) = written("*net.OpError", None);
        let head = some_head(KAFKA_GO.code, kind);
        let outcome = Outcome { what: OUTCOME_FAILED, lens: error_lens, code: 0 };
        sealed([bytes_of(&Sent { head, outcome, count: 1, lens }), slots, errors].concat())
    }

    fn polled(span: u8) -> Vec<u8> {
        let (slots, lens) = fill(&POLLED_SLOTS, &[Some(b"orders"), None, Some(b""), None]);
        let (errors, _) = written("", None);
        let head = Head { span_id: [span; 8], ..some_head(KAFKA_GO.code, KIND_POLLED) };
        let outcome = Outcome { what: OUTCOME_DONE, lens: [ABSENT; 3], code: 0 };
        let fixed = Polled {
            head,
            outcome,
            partition: 1,
            offset: 7,
            link_trace_id: [1, 2],
            link_span_id: 3,
            link_flags: 1,
            lens,
            has_message: 1,
            brokers: 1,
        };
        sealed([bytes_of(&fixed), slots, errors].concat())
    }

    fn decoded(bytes: &[u8]) -> Result<Record<'_>, DecodeError> {
        let (head, meant) = crate::records::head(bytes)?;
        decode(&head, meant)
    }

    #[test]
    fn every_prefix_of_a_record_is_truncated() {
        for bytes in [sent(KIND_SENT), sent(KIND_COMMITTED), polled(1)] {
            decoded(&bytes).expect("whole");
            for len in 0..bytes.len() {
                assert_eq!(decoded(&bytes[..len]).expect_err("a prefix").reason(), "truncated");
            }
        }
    }

    #[test]
    fn kinds_and_ids_are_checked() {
        let mut bytes = sent(KIND_SENT);
        bytes[2] = 9;
        assert_eq!(decoded(&bytes).expect_err("kind").reason(), "unknown_kind");
        assert_eq!(decoded(&polled(0)).expect_err("id"), DecodeError::ZeroId("span id"));
    }

    #[test]
    fn strings_and_errors_are_where_they_belong() {
        let bytes = sent(KIND_SENT);
        let Ok(Record { what: What::Sent(fixed, [topic, address, None, key]), error, .. }) = decoded(&bytes)
        else {
            panic!("messages that were written")
        };
        assert_eq!((fixed.count, error.error_type().as_deref()), (1, Some("net.OpError")));
        let due = [b"orders".as_slice(), b"broker:9092", b"key"].map(|text| Some(Text::whole(text)));
        assert_eq!([topic, address, key], due);
        let bytes = polled(1);
        let Ok(Record { what: What::Polled(fixed, texts), error, .. }) = decoded(&bytes) else {
            panic!("a message that was received")
        };
        assert_eq!((fixed.partition, fixed.offset, error.error_type()), (1, 7, None));
        assert_eq!(texts, [Some(Text::whole(b"orders")), None, Some(Text::whole(b"")), None]);
    }
}
