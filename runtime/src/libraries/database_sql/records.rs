//! The records of `database/sql`, as checked views. Their layout is in `runtime_ebpf::database_sql::records`.

use runtime_ebpf::{
    database_sql::{
        CODE_INT, CODE_TEXT, CODE_U16, OPERATIONS,
        records::{
            BEGAN_LARGE_SLOTS, BEGAN_SLOT_COUNT, BEGAN_SLOTS, Began, Failed, KIND_BEGAN, KIND_BEGAN_LARGE,
            KIND_ENDED, KIND_FAILED, KIND_RESUMED,
        },
    },
    record::Head,
};

use crate::libraries::errors::ErrorTexts;
use crate::records::{DecodeError, Plain, Text, read, slots};

// SAFETY: repr(C), integers and arrays of them; runtime-ebpf's tests pin that it has no padding.
unsafe impl Plain for Began {}
// SAFETY: as above.
unsafe impl Plain for Failed {}

/// The strings of a beginning, in the order of the `BEGAN_` slots.
pub type BeganTexts<'a> = [Option<Text<'a>>; BEGAN_SLOT_COUNT];

/// A record whose frame has been checked.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// An operation has begun.
    Began(Began, BeganTexts<'a>),
    /// The driver has done it.
    Ended,
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
        KIND_ENDED => Record::Ended,
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
    if usize::from(fixed.operation) >= OPERATIONS {
        return Err(DecodeError::Contradiction("operation and number of operations"));
    }
    Ok(Record::Began(fixed, slots(bytes, size_of::<Began>(), sizes, &fixed.lens)?))
}

/// The code that the server has given an error, as `db.response.status_code` has it.
pub fn code(failed: &Failed) -> Option<String> {
    match u8::try_from(failed.code_form).ok()? {
        CODE_TEXT => {
            let len = usize::try_from(failed.code_len).ok()?;
            let code = std::str::from_utf8(failed.code.get(..len)?).ok()?;
            let is_code = !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
            is_code.then(|| code.to_owned())
        }
        CODE_U16 | CODE_INT => (failed.number != 0).then(|| failed.number.cast_signed().to_string()),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use runtime_ebpf::{
        database_sql::{CODE_NONE, QUERY},
        libraries::DATABASE_SQL,
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

    /// The head of a record of the span with this id.
    pub fn head_of(kind: u16, span: u8) -> Head {
        Head { span_id: [span; 8], ..some_head(DATABASE_SQL.code, kind) }
    }

    /// What a test's operation is.
    pub fn an_operation(span: u8, before: u8, operation: usize) -> Began {
        Began {
            head: head_of(KIND_BEGAN, span),
            before_span_id: [before; 8],
            operation: u8::try_from(operation).expect("few"),
            form: 0,
            system: 0,
            is_within: 0,
            port: 0,
            lens: [0; BEGAN_SLOT_COUNT],
        }
    }

    /// A beginning.
    pub fn began(began: Began, texts: &[Option<&[u8]>; BEGAN_SLOT_COUNT]) -> Vec<u8> {
        let (slots, lens) = fill(&BEGAN_SLOTS, texts);
        sealed([bytes_of(&Began { lens, ..began }), slots].concat())
    }

    /// A query of this text.
    pub fn query(span: u8, before: u8, text: &str) -> Vec<u8> {
        began(an_operation(span, before, QUERY), &[Some(text.as_bytes()), None, None, None])
    }

    /// It has been done.
    pub fn ended(span: u8) -> Vec<u8> {
        sealed(bytes_of(&Head { end_ns: 2_000, ..head_of(KIND_ENDED, span) }))
    }

    /// An error of this type, without a code.
    pub fn failed(span: u8, is_final: bool, name: &str, text: Option<&[u8]>) -> Vec<u8> {
        let (slots, lens) = written(name, text);
        let head = Head { end_ns: 2_000, ..head_of(KIND_FAILED, span) };
        let fixed = Failed {
            head,
            is_final: u32::from(is_final),
            lens,
            number: 0,
            code: [0; 8],
            code_len: 0,
            code_form: u32::from(CODE_NONE),
        };
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
        for bytes in [query(1, 0, "SELECT"), ended(1), failed(1, false, "*net.OpError", None), resumed(1)] {
            decoded(&bytes).expect("whole");
            for len in 0..bytes.len() {
                assert_eq!(decoded(&bytes[..len]).expect_err("a prefix").reason(), "truncated");
            }
        }
    }

    #[test]
    fn kinds_ids_and_operations_are_checked() {
        let mut bytes = ended(1);
        bytes[2] = 9;
        assert_eq!(decoded(&bytes).expect_err("kind").reason(), "unknown_kind");
        assert_eq!(decoded(&ended(0)).expect_err("id"), DecodeError::ZeroId("span id"));
        let strange = began(an_operation(1, 0, OPERATIONS), &[None; 4]);
        assert_eq!(decoded(&strange).expect_err("operation").reason(), "contradiction");
    }

    #[test]
    fn codes_are_what_a_server_can_have_said() {
        let bytes = failed(1, true, "*pq.Error", None);
        let Ok(Record::Failed(mut failed, _)) = decoded(&bytes) else { panic!("an error") };
        // Not built by an update of the struct: that stops rustc 1.95 (an array whose length is another crate's constant, in a closure).
        let mut of = |form, text: &[u8; 8], len, number| {
            (failed.code_form, failed.code) = (u32::from(form), *text);
            (failed.code_len, failed.number) = (len, number);
            code(&failed)
        };
        assert_eq!(of(CODE_TEXT, b"23505\0\0\0", 5, 0).as_deref(), Some("23505"));
        assert_eq!(of(CODE_TEXT, b"23505\0\0\0", 0, 0), None);
        assert_eq!(of(CODE_TEXT, b"23505xyz", 900, 0), None);
        assert_eq!(of(CODE_TEXT, b"23 05\0\0\0", 5, 0), None);
        assert_eq!(of(CODE_U16, &[0; 8], 0, 1062).as_deref(), Some("1062"));
        assert_eq!(of(CODE_INT, &[0; 8], 0, u64::MAX).as_deref(), Some("-1"));
        assert_eq!(of(CODE_INT, &[0; 8], 0, 0), None);
        assert_eq!(of(CODE_NONE, b"23505\0\0\0", 5, 7), None);
    }
}
