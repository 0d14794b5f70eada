//! What the libraries that serve HTTP have in common, whichever version of it they speak: where a request's fields lie, the records
//! that their programs send ([`records`]), what they count ([`counters`]), and the table of what is open between two hits; and what
//! the routers have in common that say which route a request has ([`route`]).

pub mod counters;
pub mod records;
pub mod route;

use crate::abi::NO_OFFSET;

/// Where the fields lie of the struct that a request is when it begins: `net/http.Request`, or what HTTP/2 has of its own.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestFields {
    /// Number of bytes to read in one go, at most [`REQUEST_WINDOW`], covering all of the offsets below that are known; 0: they are
    /// read one by one, as where one is not known that a short record needs.
    pub bytes: u16,
    /// `Method`.
    pub method: u16,
    /// `ProtoMajor`.
    pub proto_major: u16,
    /// `ProtoMinor`.
    pub proto_minor: u16,
    /// `Header`.
    pub header: u16,
    /// `ContentLength`.
    pub content_length: u16,
    /// `Host`.
    pub host: u16,
    /// `RequestURI`.
    pub request_uri: u16,
    /// `TLS`.
    pub tls: u16,
    /// The request's context, an interface value.
    pub ctx: u16,
}

impl RequestFields {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        bytes: 0,
        method: NO_OFFSET,
        proto_major: NO_OFFSET,
        proto_minor: NO_OFFSET,
        header: NO_OFFSET,
        content_length: NO_OFFSET,
        host: NO_OFFSET,
        request_uri: NO_OFFSET,
        tls: NO_OFFSET,
        ctx: NO_OFFSET,
    };
}

/// Where that lies in `net/http.Request` which is read when a request ends.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastFields {
    /// Where the part begins that is read in one go.
    pub from: u16,
    /// Its length, at most [`END_WINDOW`]; 0: the fields are read one by one.
    pub bytes: u16,
    /// `RemoteAddr`.
    pub remote_addr: u16,
    /// `Pattern` (Go 1.23 and later).
    pub pattern: u16,
    /// `pat` (Go 1.22).
    pub pat: u16,
    /// `net/http.pattern.str` (Go 1.22).
    pub pattern_str: u16,
}

/// The most of a request's struct that is read in one go at the start; offsets into it must leave 16 bytes.
pub const REQUEST_WINDOW: usize = 512;
/// The most of `net/http.Request` that is read at the end.
pub const END_WINDOW: usize = 128;

/// Requests in flight and connections kept at once, over all processes, unless the agent says otherwise.
pub const DEFAULT_ENTRIES: u32 = 65_536;
/// Size of the programs' in-flight entry, pinned here for the agent, which removes those of processes that have ended. The
/// first word is the generation.
pub const IN_FLIGHT_BYTES: usize = 136;

/// `Request.TLS` could not be read.
pub const TLS_UNKNOWN: u8 = 2;
/// The response's status could not be read.
pub const STATUS_UNKNOWN: u32 = u32::MAX;
