//! Where a request's fields lie, from a Plan, as the programs of all HTTP servers want it.

use analyzer::plan;
use runtime_ebpf::{
    abi::{MAX_OFFSET, NO_OFFSET},
    http_server::{END_WINDOW, LastFields, REQUEST_WINDOW, RequestFields},
};

use super::super::values::offset;

/// What a handler is given.
pub const HTTP_REQUEST: &str = "net/http.Request";
/// For a field that is read by itself.
pub const ANYWHERE: u64 = MAX_OFFSET as u64;

/// A Go string is two words.
const STRING_BYTES: u16 = 16;
const WORD_BYTES: u16 = 8;

/// The last offset in a window that leaves room for a string.
pub const fn string_limit(window: usize) -> u64 {
    window as u64 - STRING_BYTES as u64
}

/// The last offset in a window that leaves room for a word.
pub const fn word_limit(window: usize) -> u64 {
    window as u64 - WORD_BYTES as u64
}

/// Where the fields lie of the struct that a request is when it begins. How much of it is read in one go is for the caller to say.
pub fn request(library: &plan::Library, type_name: &str) -> RequestFields {
    let field = |name| offset(library, type_name, name, string_limit(REQUEST_WINDOW));
    RequestFields {
        bytes: 0,
        method: field("Method"),
        proto_major: field("ProtoMajor"),
        proto_minor: field("ProtoMinor"),
        header: field("Header"),
        content_length: field("ContentLength"),
        host: field("Host"),
        request_uri: field("RequestURI"),
        tls: field("TLS"),
        // `http2.ServerRequest`, which the handler's Request has it from.
        ctx: if type_name == HTTP_REQUEST { field("ctx") } else { field("Context") },
    }
}

/// Where that lies which is read at the end: from the first field that is wanted to the last, and no byte more, since what lies
/// behind may never have been touched.
pub fn last(library: &plan::Library) -> LastFields {
    let field = |name| offset(library, HTTP_REQUEST, name, string_limit(REQUEST_WINDOW));
    let mut last = LastFields {
        from: 0,
        bytes: 0,
        remote_addr: field("RemoteAddr"),
        pattern: field("Pattern"),
        pat: field("pat"),
        pattern_str: offset(library, "net/http.pattern", "str", ANYWHERE),
    };
    let (words, strings) = ([last.pat], [last.remote_addr, last.pattern]);
    let from = words.iter().chain(&strings).filter(|offset| **offset != NO_OFFSET).min();
    last.from = from.copied().unwrap_or(0);
    last.bytes = reach(&words, &strings) - last.from;
    if usize::from(last.bytes) > END_WINDOW {
        // They lie too far apart: the programs then read them one by one.
        (last.from, last.bytes) = (NO_OFFSET, 0);
    }
    last
}

/// Where the last of these fields ends.
pub fn reach(words: &[u16], strings: &[u16]) -> u16 {
    let ends = words.iter().map(|&at| (at, WORD_BYTES)).chain(strings.iter().map(|&at| (at, STRING_BYTES)));
    ends.filter(|&(at, _)| at != NO_OFFSET).map(|(at, len)| at + len).max().unwrap_or(0)
}
