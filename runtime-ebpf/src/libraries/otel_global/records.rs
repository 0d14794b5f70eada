//! What the programs send, by the ring of large records: one record for each call that says something of a span.
//!
//! ```text
//! Said | item, item, ...
//! item: tag u16 | of u16 | length u32 | so many bytes | zeros up to a multiple of 8
//! ```
//! Items stand in the order in which they were found. The attributes that follow [`ITEM_OWN`] are the span's, or the event's; those that
//! follow [`ITEM_LINK`] are that link's.

use crate::record::Head;

/// A span begins.
pub const KIND_BEGUN: u16 = 1;
/// A span has ended.
pub const KIND_ENDED: u16 = 2;
/// It has these attributes, too.
pub const KIND_ATTRIBUTES: u16 = 3;
/// It has another name.
pub const KIND_NAMED: u16 = 4;
/// Its status: the number is the code.
pub const KIND_STATUS: u16 = 5;
/// Something has happened.
pub const KIND_EVENT: u16 = 6;
/// An error has: the number is the flags of its type.
pub const KIND_ERROR: u16 = 7;
/// It has another link.
pub const KIND_LINKED: u16 = 8;

/// Nobody will end it. The number says why.
pub const KIND_GONE: u16 = 9;

/// Another span lies at the last address at which the program had it.
pub const GONE_NEVER_ENDED: u64 = 1;
/// It found no room in the table of open spans when `Start` returned it.
pub const GONE_NO_ROOM: u64 = 2;
/// The tracer has handed it on to an SDK, which was set up just then: it is that one's.
pub const GONE_HANDED_ON: u64 = 3;

/// What stands before the items.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Complete, but for `end_ns`, which is when it was said.
    pub head: Head,
    /// By the kind of the record.
    pub number: u64,
    /// 1: not all of it is here.
    pub is_cut: u64,
}

/// A name: of the span, or of the event.
pub const ITEM_NAME: u16 = 1;
/// The name of the tracer.
pub const ITEM_SCOPE: u16 = 2;
/// Its version.
pub const ITEM_VERSION: u16 = 3;
/// Its schema.
pub const ITEM_SCHEMA: u16 = 4;
/// A key. The value is what follows.
pub const ITEM_KEY: u16 = 5;
/// A value, of the type of `attribute.Type`: a number of eight bytes, a string, the elements of a slice; of a slice of strings nothing.
pub const ITEM_VALUE: u16 = 6;
/// An element of a slice of strings.
pub const ITEM_ELEMENT: u16 = 7;
/// What a link's SpanContext begins with: trace id, span id, flags.
pub const ITEM_LINK: u16 = 8;
/// The attributes that follow are the span's own, or the event's.
pub const ITEM_OWN: u16 = 9;
/// A time: the first two words of a `time.Time`.
pub const ITEM_TIME: u16 = 10;
/// A `trace.SpanKind`.
pub const ITEM_SPAN_KIND: u16 = 11;
/// A status's description.
pub const ITEM_DESCRIPTION: u16 = 12;
/// The name of an error's type, as type data has it.
pub const ITEM_ERROR_TYPE: u16 = 13;
/// An error's text.
pub const ITEM_ERROR_TEXT: u16 = 14;

/// In `of`: the bytes could not be read.
pub const OF_FAULT: u16 = 1 << 15;

// `attribute.Type`, which no version has changed.

/// A bool.
pub const TYPE_BOOL: u16 = 1;
/// An int64.
pub const TYPE_INT64: u16 = 2;
/// A float64.
pub const TYPE_FLOAT64: u16 = 3;
/// A string.
pub const TYPE_STRING: u16 = 4;
/// A slice of bools.
pub const TYPE_BOOLS: u16 = 5;
/// A slice of int64s.
pub const TYPE_INT64S: u16 = 6;
/// A slice of float64s.
pub const TYPE_FLOAT64S: u16 = 7;
/// A slice of strings.
pub const TYPE_STRINGS: u16 = 8;

/// Bytes of an error type's name that are read.
pub const ERROR_TYPE_BYTES: u64 = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_no_padding() {
        assert_eq!(size_of::<Said>(), 88);
    }
}
