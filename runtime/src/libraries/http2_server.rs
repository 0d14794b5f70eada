//! HTTP/2 servers: the configuration of their programs, from the part of the Plan that one of the implementation's packages has.

use analyzer::{
    Plan,
    plan::{self, Site, When},
};
use runtime_ebpf::{
    abi::{CHECK_NONE, NO_OFFSET},
    http_server::RequestFields,
    http2_server::{File, STATE_WINDOW, STREAM_WINDOW},
    libraries as kernel,
};

use super::{
    http_server::{self, ANYWHERE, HTTP_REQUEST, reach, word_limit},
    join,
    library::{ConfigError, Flight, Library},
    values::{bytes_of, offset, role, stack_check, walk},
};
use crate::spans::Kind;

/// A library that is one of the implementation's packages.
pub struct Http2Server {
    /// Its line in the programs' table.
    pub kernel: kernel::Library,
    /// The programs of its roles, `start` and `end`.
    pub programs: &'static [(&'static str, &'static str)],
    /// The program in which an end goes on that needs more room.
    pub tails: &'static [&'static str],
    /// The map that holds it.
    pub tail_map: &'static str,
    /// The map of its configurations.
    pub file_map: &'static str,
    /// Its spans' instrumentation scope.
    pub scope: &'static str,
}

impl Library for Http2Server {
    fn id(&self) -> &'static str {
        self.kernel.id
    }

    fn code(&self) -> u16 {
        self.kernel.code
    }

    fn kind(&self) -> Kind {
        Kind::Server
    }

    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        self.programs
    }

    fn tails(&self) -> &'static [&'static str] {
        self.tails
    }

    fn tail_map(&self) -> &'static str {
        self.tail_map
    }

    fn file_map(&self) -> Option<&'static str> {
        Some(self.file_map)
    }

    fn flight(&self) -> Option<Flight> {
        Some(http_server::FLIGHT)
    }

    fn joiner(&self) -> Box<dyn join::Joiner> {
        Box::new(http_server::Joiner::of_version(self.scope, (2, 0)))
    }

    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
        let file = file(self.kernel.id, library, plan)?;
        // SAFETY: a File is repr(C), integers without padding (its size is pinned by a test in runtime-ebpf).
        Ok(unsafe { bytes_of(&file) })
    }
}

/// A package's own struct of this name, among the fields that its catalog entry asks for: `http2` stands before the names in
/// net/http's bundle.
fn own<'a>(library: &'a plan::Library, name: &str) -> &'a str {
    let is_it = |type_name: &str| {
        let (_, last) = type_name.rsplit_once('.').unwrap_or_default();
        last.strip_prefix("http2").unwrap_or(last) == name
    };
    library.fields.iter().map(|field| field.type_name.as_str()).find(|name| is_it(name)).unwrap_or_default()
}

/// What the programs need to know of this binary.
fn file(id: &'static str, library: &plan::Library, plan: &Plan) -> Result<File, ConfigError> {
    let site = |name| role(library, name).and_then(|role| role.sites.first());
    let start = site("start").ok_or(ConfigError::NoSite { library: id, role: "start" })?;
    let end = site("end").ok_or(ConfigError::NoSite { library: id, role: "end" })?;
    let check =
        |site: &Site| if site.when == When::Entry { stack_check(plan.arch, &site.bytes) } else { CHECK_NONE };
    let (state, stream) = (own(library, "responseWriterState"), own(library, "stream"));
    // Where the package has a struct of its own for requests, the handler is given another one.
    let server_request = own(library, "ServerRequest");
    let translates = !server_request.is_empty();
    let in_state = |field| offset(library, state, field, word_limit(STATE_WINDOW));
    let in_stream = |field| offset(library, stream, field, word_limit(STREAM_WINDOW));
    let mut file = File {
        start_vaddr: start.vaddr,
        request: http_server::request(library, if translates { server_request } else { HTTP_REQUEST }),
        last: http_server::last(library),
        headers: walk(library.maps.iter().find(|m| m.type_name == "map[string][]string")),
        conn_remote_addr: offset(library, own(library, "serverConn"), "remoteAddrStr", ANYWHERE),
        conn_net: offset(library, own(library, "serverConn"), "conn", ANYWHERE),
        writer_state: offset(library, own(library, "responseWriter"), "rws", ANYWHERE),
        state_stream: in_state("stream"),
        state_status: in_state("status"),
        state_bytes: 0,
        stream_id: in_stream("id"),
        stream_state: in_stream("state"),
        stream_bytes: 0,
        handled_header: offset(library, HTTP_REQUEST, "Header", ANYWHERE),
        start_check: check(start),
        end_check: check(end),
        translates: u8::from(translates),
        reserved: [0; 5],
    };
    file.request.bytes = request_bytes(&file.request);
    file.state_bytes = whole(&[file.state_stream, file.state_status]);
    file.stream_bytes = whole(&[file.stream_id, file.stream_state]);
    Ok(file)
}

/// How much of a request's struct is read in one go: up to the last field, if all of them are known; else they are read one by one.
fn request_bytes(request: &RequestFields) -> u16 {
    let words = [request.header, request.tls];
    let strings = [request.method, request.host, request.request_uri];
    if words.iter().chain(&strings).any(|offset| *offset == NO_OFFSET) {
        return 0;
    }
    reach(&words, &strings)
}

/// The same of words, of which the programs want all or none.
fn whole(words: &[u16]) -> u16 {
    if words.contains(&NO_OFFSET) { 0 } else { reach(words, &[]) }
}
