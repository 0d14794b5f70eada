//! `net/http.server`: its programs, their configuration from its part of the Plan, and its spans.

use analyzer::{
    Plan,
    plan::{self, Site, When},
};
use runtime_ebpf::{
    abi::{CHECK_NONE, NO_OFFSET},
    http_server::{REQUEST_WINDOW, RequestFields},
    libraries::NET_HTTP_SERVER,
    net_http_server::{File, READER_WINDOW},
};

use super::{
    http_server::{self, ANYWHERE, HTTP_REQUEST, reach, string_limit, word_limit},
    join,
    library::{ConfigError, Flight, Library},
    values::{bytes_of, offset, role, stack_check, unusable, walk},
};
use crate::spans::{Kind, semconv::scope};

/// The library.
pub struct NetHttpServer;

const ID: &str = NET_HTTP_SERVER.id;
const RESPONSE: &str = "net/http.response";
const CONN: &str = "net/http.conn";
const READER: &str = "bufio.Reader";
const READER_LIMIT: u64 = word_limit(READER_WINDOW);

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
        &["net_http_server_fields", "net_http_server_whole", "net_http_server_large", "net_http_server_state"]
    }

    fn tail_map(&self) -> &'static str {
        "NET_HTTP_SERVER_TAILS"
    }

    fn file_map(&self) -> Option<&'static str> {
        Some("NET_HTTP_SERVER_FILES")
    }

    fn flight(&self) -> Option<Flight> {
        Some(http_server::FLIGHT)
    }

    fn joiner(&self) -> Box<dyn join::Joiner> {
        Box::new(http_server::Joiner::new(scope::NET_HTTP))
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
    let plain = |type_name, field| offset(library, type_name, field, ANYWHERE);
    // A branch behind a call is no stack check.
    let check = |site: Option<&Site>| match site {
        Some(site) if site.when == When::Entry => stack_check(plan.arch, &site.bytes),
        _ => CHECK_NONE,
    };
    let mut file = File {
        start_vaddr: start.vaddr,
        writer_itab_vaddr: writer_itab(library)?,
        request: http_server::request(library, HTTP_REQUEST),
        last: http_server::last(library),
        response_conn: plain(RESPONSE, "conn"),
        response_status: plain(RESPONSE, "status"),
        response_req: plain(RESPONSE, "req"),
        conn_remote_addr: plain(CONN, "remoteAddr"),
        conn_bufr: plain(CONN, "bufr"),
        conn_net: plain(CONN, "rwc"),
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
        reserved: [0; 7],
    };
    file.text = u8::from(has_text(&file));
    file.request.bytes = request_bytes(&file);
    file.reader_bytes = reach(&[file.reader_buf, file.reader_r], &[]);
    require(library, &file)?;
    Ok(file)
}

/// Whether all is known that the programs need to take a request as text.
fn has_text(file: &File) -> bool {
    let RequestFields { method, request_uri, header, content_length, tls, proto_major, proto_minor, .. } =
        file.request;
    let request = [method, request_uri, header, content_length, tls, proto_major, proto_minor];
    let connection = [
        file.last.remote_addr,
        file.response_conn,
        file.conn_bufr,
        file.conn_remote_addr,
        file.reader_buf,
        file.reader_r,
    ];
    !request.iter().chain(&connection).any(|offset| *offset == NO_OFFSET)
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

/// How much of a Request is read in one go when it begins: up to the last field that is wanted there, and no byte more, since what
/// lies behind may never have been touched. Nothing where one of them is not known.
fn request_bytes(file: &File) -> u16 {
    let request = &file.request;
    let words =
        [request.header, request.tls, request.proto_major, request.proto_minor, request.content_length];
    let strings = [request.method, request.host, request.request_uri, file.last.remote_addr];
    if words.iter().chain(&strings).any(|offset| *offset == NO_OFFSET) {
        return 0;
    }
    reach(&words, &strings)
}

fn require(library: &plan::Library, file: &File) -> Result<(), ConfigError> {
    let required = [
        (HTTP_REQUEST, "Method", file.request.method, string_limit(REQUEST_WINDOW)),
        (HTTP_REQUEST, "RequestURI", file.request.request_uri, string_limit(REQUEST_WINDOW)),
        (RESPONSE, "status", file.response_status, ANYWHERE),
        (RESPONSE, "conn", file.response_conn, ANYWHERE),
    ];
    let by_response = (RESPONSE, "req", file.response_req, ANYWHERE);
    let by_response = (file.start_after_read != 0).then_some(by_response);
    let by_reader = ("net/http.connReader", "conn", file.conn_reader_conn, ANYWHERE);
    let by_reader = (file.end_by_reader != 0).then_some(by_reader);
    for (type_name, field, offset, limit) in required.into_iter().chain(by_response).chain(by_reader) {
        if offset == NO_OFFSET {
            return Err(unusable(library, ID, (type_name, field), limit));
        }
    }
    Ok(())
}
