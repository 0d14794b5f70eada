//! The records of libraries that call over HTTP, as checked views. Their layout is in `runtime_ebpf::http_client::records`.

use runtime_ebpf::http_client::records::{
    BEGAN_LARGE_SLOTS, BEGAN_SLOT_COUNT, BEGAN_SLOTS, Began, Ended, Failed, KIND_BEGAN, KIND_BEGAN_LARGE,
    KIND_ENDED, KIND_FAILED, KIND_RESUMED,
};
use runtime_ebpf::record::Head;

use crate::libraries::errors::ErrorTexts;
use crate::records::{DecodeError, Plain, Text, read, slots};

// SAFETY: repr(C), integers and arrays of them; runtime-ebpf's tests pin that it has no padding.
unsafe impl Plain for Began {}
// SAFETY: as above.
unsafe impl Plain for Ended {}
// SAFETY: as above.
unsafe impl Plain for Failed {}

/// The strings of a beginning, in the order of the `BEGAN_` slots.
pub type BeganTexts<'a> = [Option<Text<'a>>; BEGAN_SLOT_COUNT];

/// A record whose frame has been checked.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// A round trip has begun.
    Began(Began, BeganTexts<'a>),
    /// There is a response.
    Ended(Ended),
    /// There was an error.
    Failed(Failed, ErrorTexts<'a>),
    /// What has failed is tried again.
    Resumed,
}

/// Decodes the record that `head` begins; `bytes` is all of it that means something ([`crate::records::head`]).
pub fn decode<'a>(head: &Head, bytes: &'a [u8]) -> Result<Record<'a>, DecodeError> {
    let record = match head.kind {
        KIND_BEGAN => began(bytes, &BEGAN_SLOTS)?,
        KIND_BEGAN_LARGE => began(bytes, &BEGAN_LARGE_SLOTS)?,
        KIND_ENDED => Record::Ended(read(bytes, 0)?),
        KIND_FAILED => {
            let fixed: Failed = read(bytes, 0)?;
            Record::Failed(fixed, ErrorTexts::read(bytes, size_of::<Failed>(), &fixed.lens)?)
        }
        KIND_RESUMED => Record::Resumed,
        kind => return Err(DecodeError::UnknownKind(kind)),
    };
    if head.trace_id == [0; 16] {
        return Err(DecodeError::ZeroId("trace id"));
    }
    if head.span_id == [0; 8] {
        return Err(DecodeError::ZeroId("span id"));
    }
    Ok(record)
}

fn began<'a>(bytes: &'a [u8], sizes: &[usize; BEGAN_SLOT_COUNT]) -> Result<Record<'a>, DecodeError> {
    let fixed: Began = read(bytes, 0)?;
    Ok(Record::Began(fixed, slots(bytes, size_of::<Began>(), sizes, &fixed.lens)?))
}

#[cfg(test)]
pub(super) mod tests {
    use runtime_ebpf::libraries::NET_HTTP_CLIENT;

    use super::*;
    use crate::libraries::errors::tests::written;
    use crate::records::tests::{bytes_of, fill, some_head};

    /// A whole record: its length is written into its head.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let len = u32::try_from(bytes.len()).expect("short");
        bytes[4..8].copy_from_slice(&len.to_ne_bytes());
        bytes
    }

    /// The head of a record of the span with this id.
    pub fn head_of(kind: u16, span: u8) -> Head {
        Head { span_id: [span; 8], ..some_head(NET_HTTP_CLIENT.code, kind) }
    }

    /// A beginning.
    pub fn began(span: u8, before: u8, texts: &[Option<&[u8]>; BEGAN_SLOT_COUNT]) -> Vec<u8> {
        let (slots, lens) = fill(&BEGAN_SLOTS, texts);
        let before_span_id = [before; 8];
        let fixed = Began { head: head_of(KIND_BEGAN, span), before_span_id, resends: 0, has_user: 0, lens };
        sealed([bytes_of(&fixed), slots].concat())
    }

    /// A response.
    pub fn ended(span: u8, status: u32) -> Vec<u8> {
        let head = Head { end_ns: 2_000, ..head_of(KIND_ENDED, span) };
        sealed(bytes_of(&Ended { head, status, proto_major: 1, proto_minor: 1 }))
    }

    /// An error of this type.
    pub fn failed(span: u8, is_final: bool, name: &str, text: Option<&[u8]>) -> Vec<u8> {
        let (slots, lens) = written(name, text);
        let head = Head { end_ns: 2_000, ..head_of(KIND_FAILED, span) };
        let fixed = Failed { head, is_final: u32::from(is_final), lens };
        sealed([bytes_of(&fixed), slots].concat())
    }

    /// What has failed is tried again.
    pub fn resumed(span: u8) -> Vec<u8> {
        sealed(bytes_of(&head_of(KIND_RESUMED, span)))
    }

    fn decoded(bytes: &[u8]) -> Result<Record<'_>, DecodeError> {
        let (head, meant) = crate::records::head(bytes)?;
        decode(&head, meant)
    }

    #[test]
    fn every_prefix_of_a_record_is_truncated() {
        let texts = [Some(b"GET".as_slice()), None, None, None, None, None, None, None];
        for bytes in [began(1, 0, &texts), ended(1, 200), failed(1, false, "*net.OpError", None), resumed(1)]
        {
            decoded(&bytes).expect("whole");
            for len in 0..bytes.len() {
                assert_eq!(decoded(&bytes[..len]).expect_err("a prefix").reason(), "truncated");
            }
        }
    }

    #[test]
    fn kinds_and_ids_are_checked() {
        let mut bytes = ended(1, 200);
        bytes[2] = 9;
        assert_eq!(decoded(&bytes).expect_err("kind").reason(), "unknown_kind");
        assert_eq!(decoded(&ended(0, 200)).expect_err("id"), DecodeError::ZeroId("span id"));
    }
}
