//! `net/http.server`: its programs, their configuration from its part of the Plan, and its spans.

mod spans;

use analyzer::{
    Plan,
    plan::{self, Site, When},
};
use runtime_ebpf::{
    abi::{CHECK_NONE, MAX_OFFSET, NO_OFFSET},
    libraries::NET_HTTP_SERVER,
    net_http_server::{END_WINDOW, File, IN_FLIGHT_BYTES, READER_WINDOW, REQUEST_WINDOW},
};

use super::{
    join,
    library::{ConfigError, Flight, Library},
    values::{bytes_of, offset, role, stack_check, walk},
};

use crate::spans::Kind;

/// The library.
pub struct NetHttpServer;

const ID: &str = NET_HTTP_SERVER.id;
const REQUEST: &str = "net/http.Request";
const RESPONSE: &str = "net/http.response";
const CONN: &str = "net/http.conn";
const READER: &str = "bufio.Reader";
const ANYWHERE: u64 = MAX_OFFSET as u64;
/// A Go string is two words.
const STRING_BYTES: u16 = 16;
const WORD_BYTES: u16 = 8;
/// The last offsets in the windows that leave room for what is read there.
const REQUEST_LIMIT: u64 = REQUEST_WINDOW as u64 - STRING_BYTES as u64;
const READER_LIMIT: u64 = READER_WINDOW as u64 - WORD_BYTES as u64;

impl Library for NetHttpServer {
    fn id(&self) -> &'static str {
        ID
    }

    fn code(&self) -> u16 {
        NET_HTTP_SERVER.code
    }

    fn kind(&self) -> Kind {
        Kind::Server
    }

    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("start", "net_http_server_start"),
            ("end", "net_http_server_end"),
            ("hijack", "net_http_server_hijack"),
            ("release", "net_http_server_release"),
            ("abort", "net_http_server_abort"),
        ]
    }

    fn tails(&self) -> &'static [&'static str] {
        &["net_http_server_fields", "net_http_server_whole", "net_http_server_large"]
    }

    fn tail_map(&self) -> &'static str {
        "NET_HTTP_SERVER_TAILS"
    }

    fn file_map(&self) -> &'static str {
        "NET_HTTP_SERVER_FILES"
    }

    fn flight(&self) -> Option<Flight> {
        Some(Flight {
            map: "NET_HTTP_SERVER_FLIGHT",
            value_bytes: IN_FLIGHT_BYTES,
            use_map: "NET_HTTP_SERVER_USE",
            entries_global: "NET_HTTP_SERVER_ENTRIES",
        })
    }

    fn joiner(&self) -> Box<dyn join::Joiner> {
        Box::new(spans::Joiner::default())
    }

    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
        let file = file(library, plan)?;
        // SAFETY: a File is repr(C), integers without padding (its size is pinned by a test in runtime-ebpf).
        Ok(unsafe { bytes_of(&file) })
    }
}

/// What the programs need to know of this binary.
fn file(library: &plan::Library, plan: &Plan) -> Result<File, ConfigError> {
    let start = site(library, "start").ok_or(ConfigError::NoSite { library: ID, role: "start" })?;
    let end = site(library, "end").ok_or(ConfigError::NoSite { library: ID, role: "end" })?;
    let release = site(library, "release");
    let request = |field| offset(library, REQUEST, field, REQUEST_LIMIT);
    let plain = |type_name, field| offset(library, type_name, field, ANYWHERE);
    // A branch behind a call is no stack check.
    let check = |site: Option<&Site>| match site {
        Some(site) if site.when == When::Entry => stack_check(plan.arch, &site.bytes),
        _ => CHECK_NONE,
    };
    let mut file = File {
        start_vaddr: start.vaddr,
        writer_itab_vaddr: writer_itab(library)?,
        request_bytes: 0,
        end_from: 0,
        end_bytes: 0,
        request_method: request("Method"),
        request_proto_major: request("ProtoMajor"),
        request_proto_minor: request("ProtoMinor"),
        request_header: request("Header"),
        request_content_length: request("ContentLength"),
        request_host: request("Host"),
        request_remote_addr: request("RemoteAddr"),
        request_request_uri: request("RequestURI"),
        request_tls: request("TLS"),
        request_pattern: request("Pattern"),
        request_ctx: request("ctx"),
        request_pat: request("pat"),
        pattern_str: plain("net/http.pattern", "str"),
        response_conn: plain(RESPONSE, "conn"),
        response_status: plain(RESPONSE, "status"),
        response_req: plain(RESPONSE, "req"),
        conn_remote_addr: plain(CONN, "remoteAddr"),
        conn_bufr: plain(CONN, "bufr"),
        conn_reader_conn: plain("net/http.connReader", "conn"),
        reader_buf: offset(library, READER, "buf", READER_LIMIT),
        reader_r: offset(library, READER, "r", READER_LIMIT),
        reader_bytes: 0,
        headers: walk(library.maps.iter().find(|m| m.type_name == "map[string][]string")),
        start_check: check(Some(start)),
        end_check: check(Some(end)),
        hijack_check: check(site(library, "hijack")),
        release_check: check(release),
        abort_check: check(site(library, "abort")),
        start_after_read: u8::from(start.when == When::AfterCall),
        release_at_return: u8::from(release.is_some_and(|site| site.when == When::Exit)),
        text: 0,
        end_by_reader: u8::from(end.when == When::Call),
        reserved: 0,
    };
    file.text = u8::from(has_text(&file));
    set_windows(&mut file);
    require(library, &file)?;
    Ok(file)
}

/// Whether all is known that the programs need to take a request as text.
fn has_text(file: &File) -> bool {
    let needed = [
        file.request_method,
        file.request_request_uri,
        file.request_remote_addr,
        file.request_header,
        file.request_content_length,
        file.request_tls,
        file.request_proto_major,
        file.request_proto_minor,
        file.response_conn,
        file.conn_bufr,
        file.conn_remote_addr,
        file.reader_buf,
        file.reader_r,
    ];
    !needed.contains(&NO_OFFSET)
}

fn site<'a>(library: &'a plan::Library, name: &str) -> Option<&'a Site> {
    role(library, name)?.sites.first()
}

/// Behind readRequest there is nothing to compare with, but the Plan has it all the same.
fn writer_itab(library: &plan::Library) -> Result<u64, ConfigError> {
    let (interface, concrete) = ("net/http.ResponseWriter", "*net/http.response");
    library
        .itabs
        .iter()
        .find(|itab| itab.interface == interface && itab.concrete == concrete)
        .and_then(|itab| itab.vaddr)
        .ok_or(ConfigError::Itab { library: ID, interface, concrete })
}

/// Which part of each struct to read: from the first field that is wanted to the last, and no byte more, since what lies
/// behind may never have been touched.
fn set_windows(file: &mut File) {
    let words = [
        file.request_header,
        file.request_tls,
        file.request_proto_major,
        file.request_proto_minor,
        file.request_content_length,
    ];
    let strings = [file.request_method, file.request_remote_addr, file.request_request_uri];
    file.request_bytes = reach(&words, &strings);
    let (words, strings) = ([file.request_pat], [file.request_remote_addr, file.request_pattern]);
    let from = words.iter().chain(&strings).filter(|offset| **offset != NO_OFFSET).min();
    file.end_from = from.copied().unwrap_or(0);
    file.end_bytes = reach(&words, &strings) - file.end_from;
    if usize::from(file.end_bytes) > END_WINDOW {
        // They lie too far apart: the programs then read them one by one.
        (file.end_from, file.end_bytes) = (NO_OFFSET, 0);
    }
    file.reader_bytes = reach(&[file.reader_buf, file.reader_r], &[]);
}

/// Where the last of these fields ends.
fn reach(words: &[u16], strings: &[u16]) -> u16 {
    let ends = words.iter().map(|&at| (at, WORD_BYTES)).chain(strings.iter().map(|&at| (at, STRING_BYTES)));
    ends.filter(|&(at, _)| at != NO_OFFSET).map(|(at, len)| at + len).max().unwrap_or(0)
}

fn require(library: &plan::Library, file: &File) -> Result<(), ConfigError> {
    let required = [
        (REQUEST, "Method", file.request_method, REQUEST_LIMIT),
        (REQUEST, "RequestURI", file.request_request_uri, REQUEST_LIMIT),
        (RESPONSE, "status", file.response_status, ANYWHERE),
        (RESPONSE, "conn", file.response_conn, ANYWHERE),
    ];
    let by_response = (RESPONSE, "req", file.response_req, ANYWHERE);
    let by_response = (file.start_after_read != 0).then_some(by_response);
    let by_reader = ("net/http.connReader", "conn", file.conn_reader_conn, ANYWHERE);
    let by_reader = (file.end_by_reader != 0).then_some(by_reader);
    for (type_name, field, offset, limit) in required.into_iter().chain(by_response).chain(by_reader) {
        if offset == NO_OFFSET {
            let planned = library.fields.iter().find(|f| f.type_name == type_name && f.field == field);
            let offset = planned.and_then(|f| f.offset);
            return Err(ConfigError::Offset { library: ID, type_name, field, offset, limit });
        }
    }
    Ok(())
}
