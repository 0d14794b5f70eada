//! What the programs need to know of a binary that write the trace context into requests, from the library's part of the Plan
//! (docs/decisions/propagation-writes.md).

use analyzer::{Plan, plan};
use runtime_ebpf::{
    abi::{HEADERS_NONE, NO_OFFSET},
    http_client::Carrier as Known,
};

use crate::libraries::{
    library::Carrier,
    values::{ANYWHERE, is_called_with, offset, role, walk},
};

/// Requests over HTTP/1.x: a line in the buffer of the connection's writer.
pub const LINES: Carrier = Carrier { what: "requests over HTTP/1.x", roles: &["conn", "header"] };
/// Those over HTTP/2: a field behind the header block.
pub const BLOCKS: Carrier = Carrier { what: "requests over HTTP/2", roles: &["stream", "frame"] };

const WRITER: &str = "bufio.Writer";
/// Beyond these a `bufio.Writer`, of 64 bytes, has nothing.
const WRITER_BYTES: u64 = 64;
/// HTTP/2's framer, in each package that it is in.
const FRAMERS: [&str; 3] =
    ["net/http.http2Framer", "net/http/internal/http2.Framer", "golang.org/x/net/http2.Framer"];
/// The values of the site where a request's header is written, and the words of the arguments that the program takes for them.
const OF_HEADER: [(&str, &[usize]); 3] = [("header", &[0]), ("writer", &[1, 2]), ("exclude", &[3])];
/// The same of a frame.
const OF_FRAME: [(&str, &[usize]); 1] = [("framer", &[0])];

/// As far as it is known.
pub fn carrier(library: &plan::Library) -> Known {
    let itab = |concrete: &str| {
        let is_it = |itab: &&plan::Itab| itab.interface == "io.Writer" && itab.concrete == concrete;
        library.itabs.iter().find(is_it).and_then(|itab| itab.vaddr).unwrap_or(0)
    };
    let field = |name, bytes| offset(library, WRITER, name, WRITER_BYTES - bytes);
    let frames = FRAMERS.iter().map(|framer| offset(library, framer, "wbuf", ANYWHERE));
    Known {
        buffered_itab: itab("*bufio.Writer"),
        connection_itab: itab("net/http.persistConnWriter"),
        walk: walk(library.maps.iter().find(|map| map.type_name == "map[string][]string")),
        buffer: field("buf", 16),
        used: field("n", 8),
        below: field("wr", 16),
        frame: frames.into_iter().find(|at| *at != NO_OFFSET).unwrap_or(NO_OFFSET),
        reserved: [0; 4],
    }
}

/// Whether all is known that writing takes, and the arguments are where the program takes them from.
pub fn is_sure(way: &Carrier, library: &plan::Library, plan: &Plan) -> bool {
    let known = carrier(library);
    let is_there = |offset: u16| offset != NO_OFFSET;
    let knows_all = match *way {
        LINES => {
            let offsets = [known.buffer, known.used, known.below];
            known.buffered_itab != 0 && known.connection_itab != 0 && offsets.into_iter().all(is_there)
        }
        BLOCKS => is_there(known.frame),
        _ => false,
    };
    let (name, values) = match *way {
        LINES => ("header", OF_HEADER.as_slice()),
        _ => ("frame", OF_FRAME.as_slice()),
    };
    knows_all
        && known.walk.kind != HEADERS_NONE
        && way.roles.iter().all(|name| role(library, name).is_some())
        && is_called_with(library, plan, name, values)
}
