//! `go.opentelemetry.io/otel/internal/global` before v1.33: what its programs need to know of a file, send ([`records`]) and count
//! ([`counters`]).

use crate::abi::{CONTEXT_SLOT_BITS, ContextSlot};

pub mod counters;
pub mod records;

// Functions that are probed at their entries, as places in the arrays of [`File`].

/// `(*tracer).Start`.
pub const START: usize = 0;
/// `(*nonRecordingSpan).End`.
pub const END: usize = 1;
/// `SetAttributes`.
pub const SET_ATTRIBUTES: usize = 2;
/// `SetName`.
pub const SET_NAME: usize = 3;
/// `SetStatus`.
pub const SET_STATUS: usize = 4;
/// `AddEvent`.
pub const ADD_EVENT: usize = 5;
/// `RecordError`.
pub const RECORD_ERROR: usize = 6;
/// `AddLink`.
pub const ADD_LINK: usize = 7;
/// Number of them.
pub const ENTRIES: usize = 8;
/// Most returns of `Start`.
pub const RETURNS: usize = 4;

// What an address means: the `kind` of a slot of [`File::slots`].

/// The type `trace.attributeOption`.
pub const ATTRIBUTES: u32 = 1;
/// The type `trace.timestampOption`.
pub const TIME: u32 = 2;
/// A type of options that are functions.
pub const FUNCTION: u32 = 3;
/// What `trace.WithSpanKind` gives.
pub const KIND: u32 = 4;
/// `trace.WithLinks`.
pub const LINKS: u32 = 5;
/// `trace.WithNewRoot`.
pub const NEW_ROOT: u32 = 6;
/// `trace.WithInstrumentationVersion`.
pub const VERSION: u32 = 7;
/// `trace.WithSchemaURL`.
pub const SCHEMA: u32 = 8;
/// A type of errors that begin with their text.
pub const ERROR: u32 = 9;

/// The type `trace.stackTraceOption`.
pub const STACK_TRACE: u32 = 10;

/// What the programs need to know of one file. Value of `OTEL_GLOBAL_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Addresses in the file of the sites at entries: `ip - vaddr` is the load bias.
    pub entry_vaddrs: [u64; ENTRIES],
    /// The same of the returns of `Start`; 0: there are no more.
    pub return_vaddrs: [u64; RETURNS],
    /// Address in the file of the itab of `trace.Span` and `nonRecordingSpan`.
    pub itab_vaddr: u64,
    /// That of the type's descriptor.
    pub span_type_vaddr: u64,
    /// Where the type data begins, from which names of types are counted; 0: unknown.
    pub types_vaddr: u64,
    /// An address's slot is the highest [`CONTEXT_SLOT_BITS`] bits of it times this.
    pub multiplier: u64,
    /// What addresses of types and functions mean.
    pub slots: [ContextSlot; 1 << CONTEXT_SLOT_BITS],
    /// Which flags mean that the stack check at an entry fails; see [`crate::abi::CHECK_NONE`].
    pub checks: [u8; ENTRIES],
    /// `tracer.name`.
    pub name: u16,
    /// `tracer.opts`.
    pub options: u16,
    /// `tracer.delegate`.
    pub delegate: u16,
    /// 1: some options make roots.
    pub has_new_root: u16,
}

/// Bytes of an `attribute.KeyValue`: its key (a string), and from [`VALUE`] on a `Value`.
pub const KEY_VALUE_BYTES: u64 = 64;
/// Where that is: its type, a number, a string, an `interface {}`.
pub const VALUE: u64 = 16;
/// Bytes of a `trace.Link`: its SpanContext, and from [`LINK_ATTRIBUTES`] on a slice of attributes.
pub const LINK_BYTES: u64 = 88;
/// Where that is.
pub const LINK_ATTRIBUTES: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_no_padding() {
        assert_eq!((size_of::<File>(), align_of::<File>()), (12 * 8 + 4 * 8 + 64 * 16 + 16, 8));
    }
}
