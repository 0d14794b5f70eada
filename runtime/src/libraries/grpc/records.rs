//! The records of gRPC's programs, as checked views. Their layouts are in `runtime_ebpf::grpc`.

use runtime_ebpf::grpc::{
    client,
    records::{Ended, KIND_BEGAN, KIND_BEGAN_LARGE, KIND_ENDED, KIND_FAILED, MESSAGE_BYTES},
    server,
};
use runtime_ebpf::record::Head;

use crate::records::{DecodeError, Plain, Text, read, slots};

// SAFETY: repr(C), integers and arrays of them; runtime-ebpf's tests pin that it has no padding.
unsafe impl Plain for client::Began {}
// SAFETY: as above.
unsafe impl Plain for server::Began {}
// SAFETY: as above.
unsafe impl Plain for Ended {}

/// A record whose frame has been checked.
#[derive(Debug, Clone, Copy)]
pub enum Record<'a> {
    /// An RPC of a client has begun: method and target.
    Called([Option<Text<'a>>; client::BEGAN_SLOT_COUNT]),
    /// An RPC of a server has begun.
    Served(server::Began, [Option<Text<'a>>; server::BEGAN_SLOT_COUNT]),
    /// It has ended; what its status says.
    Ended(Ended, Option<Text<'a>>),
}

/// Which end of an RPC it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that calls.
    Client,
    /// The one that is called.
    Server,
}

/// Decodes the record of this side that `head` begins; `bytes` is all of it that means something ([`crate::records::head`]).
pub fn decode<'a>(side: Side, head: &Head, bytes: &'a [u8]) -> Result<Record<'a>, DecodeError> {
    let record = match (side, head.kind) {
        (Side::Client, KIND_BEGAN) => called(bytes, &client::BEGAN_SLOTS)?,
        (Side::Client, KIND_BEGAN_LARGE) => called(bytes, &client::BEGAN_LARGE_SLOTS)?,
        (Side::Server, KIND_BEGAN) => served(bytes, &server::BEGAN_SLOTS)?,
        (Side::Server, KIND_BEGAN_LARGE) => served(bytes, &server::BEGAN_LARGE_SLOTS)?,
        (_, KIND_ENDED) => Record::Ended(read(bytes, 0)?, None),
        (_, KIND_FAILED) => {
            let ended: Ended = read(bytes, 0)?;
            let [message] = slots(bytes, size_of::<Ended>(), &[MESSAGE_BYTES], &[ended.message_len])?;
            Record::Ended(ended, message)
        }
        (_, kind) => return Err(DecodeError::UnknownKind(kind)),
    };
    if head.trace_id == [0; 16] {
        return Err(DecodeError::ZeroId("trace id"));
    }
    if head.span_id == [0; 8] {
        return Err(DecodeError::ZeroId("span id"));
    }
    Ok(record)
}

fn called<'a>(bytes: &'a [u8], sizes: &[usize; client::BEGAN_SLOT_COUNT]) -> Result<Record<'a>, DecodeError> {
    let began: client::Began = read(bytes, 0)?;
    Ok(Record::Called(slots(bytes, size_of::<client::Began>(), sizes, &began.lens)?))
}

fn served<'a>(bytes: &'a [u8], sizes: &[usize; server::BEGAN_SLOT_COUNT]) -> Result<Record<'a>, DecodeError> {
    let began: server::Began = read(bytes, 0)?;
    Ok(Record::Served(began, slots(bytes, size_of::<server::Began>(), sizes, &began.lens)?))
}

#[cfg(test)]
pub(super) mod tests {
    use runtime_ebpf::libraries::{GRPC_CLIENT, GRPC_SERVER};
    use runtime_ebpf::record::ABSENT;

    use super::*;
    use crate::records::tests::{bytes_of, fill, some_head};

    /// A whole record: its length is written into its head.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let len = u32::try_from(bytes.len()).expect("short");
        bytes[4..8].copy_from_slice(&len.to_ne_bytes());
        bytes
    }

    /// The head of a record of the span with this id.
    pub fn head_of(side: Side, kind: u16, span: u8) -> Head {
        let library = if side == Side::Client { GRPC_CLIENT } else { GRPC_SERVER };
        Head { span_id: [span; 8], ..some_head(library.code, kind) }
    }

    /// The beginning of a client's RPC.
    pub fn called(span: u8, method: &str, target: &str) -> Vec<u8> {
        let texts = [Some(method.as_bytes()), Some(target.as_bytes())];
        let (slots, lens) = fill(&client::BEGAN_LARGE_SLOTS, &texts);
        let began = client::Began { head: head_of(Side::Client, KIND_BEGAN_LARGE, span), lens };
        sealed([bytes_of(&began), slots].concat())
    }

    /// The beginning of a server's RPC from this peer.
    pub fn served(span: u8, texts: [Option<&[u8]>; server::BEGAN_SLOT_COUNT], peer: (u32, u32)) -> Vec<u8> {
        let (slots, lens) = fill(&server::BEGAN_LARGE_SLOTS, &texts);
        let head = head_of(Side::Server, KIND_BEGAN_LARGE, span);
        let began = server::Began { head, peer_kind: peer.0, peer_port: peer.1, lens };
        sealed([bytes_of(&began), slots].concat())
    }

    /// An end.
    pub fn ended(side: Side, span: u8, code: u32, message: Option<&str>, is_unknown_method: bool) -> Vec<u8> {
        let kind = if message.is_some() { KIND_FAILED } else { KIND_ENDED };
        let mut slot = message.unwrap_or_default().as_bytes().to_vec();
        let ended = Ended {
            head: Head { end_ns: 2_000, ..head_of(side, kind, span) },
            code,
            is_unknown_method: u32::from(is_unknown_method),
            message_len: message.map_or(ABSENT, |text| u32::try_from(text.len()).expect("short")),
            reserved: 0,
        };
        slot.resize(if message.is_some() { MESSAGE_BYTES } else { 0 }, b'?');
        sealed([bytes_of(&ended), slot].concat())
    }

    #[test]
    fn every_prefix_of_a_record_is_truncated() {
        let server = [Some(b"/a/b".as_slice()), Some(b"host"), None, None];
        for (side, bytes) in [
            (Side::Client, called(1, "/a/b", "host:1")),
            (Side::Server, served(1, server, (0, 0))),
            (Side::Client, ended(Side::Client, 1, 0, None, false)),
            (Side::Server, ended(Side::Server, 1, 5, Some("not there"), false)),
        ] {
            let decoded = |bytes| {
                let (head, meant) = crate::records::head(bytes)?;
                decode(side, &head, meant).map(|_| ())
            };
            decoded(&bytes).expect("whole");
            for len in 0..bytes.len() {
                assert_eq!(decoded(&bytes[..len]).expect_err("a prefix").reason(), "truncated");
            }
        }
    }

    #[test]
    fn kinds_and_ids_are_checked() {
        let decoded = |bytes: &[u8]| {
            let (head, meant) = crate::records::head(bytes)?;
            decode(Side::Client, &head, meant).map(|_| ())
        };
        let mut bytes = ended(Side::Client, 1, 0, None, false);
        bytes[2] = 9;
        assert_eq!(decoded(&bytes).expect_err("kind").reason(), "unknown_kind");
        let bytes = ended(Side::Client, 0, 0, None, false);
        assert_eq!(decoded(&bytes).expect_err("id"), DecodeError::ZeroId("span id"));
    }
}
