//! The configuration of a client's programs, from its library's part of the Plan.

use analyzer::{
    Plan,
    plan::{self, Site, When},
};
use runtime_ebpf::{
    abi::{CHECK_NONE, NO_OFFSET},
    http_client::{File, REQUEST_WINDOW, RESPONSE_WINDOW, URL_WINDOW},
    libraries as kernel,
};

use super::carrier::{carrier, is_sure};
use super::joiner::{Joiner, Names};
use crate::libraries::{
    errors::{self, Wrapper},
    join,
    library::{Carrier, ConfigError, Flight, Library},
    values::{ANYWHERE, bytes_of, offset, offset_of_half, role, stack_check, unusable},
};
use crate::spans::Kind;

/// A library that calls over HTTP.
pub struct HttpClient {
    /// Its line in the programs' table.
    pub kernel: kernel::Library,
    /// The programs of its roles.
    pub programs: &'static [(&'static str, &'static str)],
    /// The programs that put the trace context into requests.
    pub telling: &'static [(&'static str, &'static str)],
    /// Into which.
    pub carriers: &'static [Carrier],
    /// The map of its configurations.
    pub file_map: &'static str,
    /// The table of its round trips in flight.
    pub flight: Flight,
    /// Its spans' instrumentation scope.
    pub scope: &'static str,
    /// What it counts.
    pub names: Names,
}

const REQUEST: &str = "net/http.Request";
const URL: &str = "net/url.URL";
const RESPONSE: &str = "net/http.Response";
const H2_RESPONSE: &str = "net/http/internal/http2.ClientResponse";
/// Errors that hold another.
const WRAPPERS: [Wrapper; 3] = [
    ("*fmt.wrapError", "fmt.wrapError", "err"),
    ("net/http.nothingWrittenError", "net/http.nothingWrittenError", "error"),
    ("net/http.transportReadFromServerError", "net/http.transportReadFromServerError", "err"),
];
/// What the catalog calls the site of HTTP/2's end since Go 1.27.
const INTERNAL: &str = "internal";
/// A Go string and an interface value are two words.
const STRING_BYTES: u16 = 16;
const WORD_BYTES: u16 = 8;
/// The last offsets in the windows that leave room for what is read there.
const REQUEST_LIMIT: u64 = REQUEST_WINDOW as u64 - STRING_BYTES as u64;
const URL_LIMIT: u64 = URL_WINDOW as u64 - STRING_BYTES as u64;
const RESPONSE_LIMIT: u64 = RESPONSE_WINDOW as u64 - WORD_BYTES as u64;

impl Library for HttpClient {
    fn id(&self) -> &'static str {
        self.kernel.id
    }

    fn code(&self) -> u16 {
        self.kernel.code
    }

    fn kind(&self) -> Kind {
        Kind::Client
    }

    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        self.programs
    }

    fn correlating(&self) -> &'static [&'static str] {
        &["stream"]
    }

    fn telling(&self) -> &'static [(&'static str, &'static str)] {
        self.telling
    }

    fn carriers(&self) -> &'static [Carrier] {
        self.carriers
    }

    fn may_carry(&self, carrier: &Carrier, library: &plan::Library, plan: &Plan) -> bool {
        is_sure(carrier, library, plan)
    }

    fn file_map(&self) -> Option<&'static str> {
        Some(self.file_map)
    }

    fn flight(&self) -> Option<Flight> {
        Some(self.flight)
    }

    fn asks_for_parents(&self) -> bool {
        true
    }

    fn joiner(&self) -> Box<dyn join::Joiner> {
        Box::new(Joiner::new(self.scope, self.names))
    }

    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
        let file = file(self.kernel.id, library, plan)?;
        // SAFETY: a File is repr(C), integers without padding (its size is pinned by a test in runtime-ebpf).
        Ok(unsafe { bytes_of(&file) })
    }
}

/// What the programs need to know of this binary.
fn file(id: &'static str, library: &plan::Library, plan: &Plan) -> Result<File, ConfigError> {
    let first = |name| role(library, name).and_then(|role| role.sites.first());
    let copied = first("start_copied");
    let start = first("start").or(copied).ok_or(ConfigError::NoSite { library: id, role: "start" })?;
    first("end").ok_or(ConfigError::NoSite { library: id, role: "end" })?;
    let request = |field| offset(library, REQUEST, field, REQUEST_LIMIT);
    let url = |field| offset(library, URL, field, URL_LIMIT);
    let response = |field| offset(library, RESPONSE, field, RESPONSE_LIMIT);
    let [stream, conn] = http2_types(library);
    let is_own = role(library, "h2_end").is_some_and(|end| end.site.as_deref() == Some(INTERNAL));
    let check = |site: &Site| {
        if site.when == When::Entry { stack_check(plan.arch, &site.bytes) } else { CHECK_NONE }
    };
    let mut file = File {
        start_vaddr: start.vaddr,
        copied_vaddr: copied.map_or(0, |site| site.vaddr),
        conn_vaddr: first("conn").map_or(0, |site| site.vaddr),
        errors: errors::config(library, plan, &WRAPPERS),
        request_bytes: 0,
        request_method: request("Method"),
        request_url: request("URL"),
        request_header: request("Header"),
        request_response: request("Response"),
        request_ctx: request("ctx"),
        url_bytes: 0,
        url_scheme: url("Scheme"),
        url_opaque: url("Opaque"),
        url_user: url("User"),
        url_host: url("Host"),
        url_path: url("Path"),
        url_raw_path: url("RawPath"),
        url_raw_query: url("RawQuery"),
        url_fragment: url("Fragment"),
        response_bytes: 0,
        response_status: response("StatusCode"),
        response_proto_major: response("ProtoMajor"),
        response_proto_minor: response("ProtoMinor"),
        response_request: response("Request"),
        h2_status: offset(library, H2_RESPONSE, "StatusCode", ANYWHERE),
        start_check: check(start),
        copied_check: copied.map_or(CHECK_NONE, check),
        h2_own_response: u8::from(is_own),
        stream_check: first("stream").map_or(CHECK_NONE, check),
        streams: u8::from(has_streams(plan)),
        reserved: [0; 3],
        conn_net: offset(library, "net/http.persistConn", "conn", ANYWHERE),
        conn_alt: offset(library, "net/http.persistConn", "alt", ANYWHERE),
        stream_header: offset(
            library,
            if is_own { "net/http/internal/http2.ClientRequest" } else { REQUEST },
            "Header",
            ANYWHERE,
        ),
        stream_id: offset_of_half(library, stream, "ID", ANYWHERE),
        stream_ctx: offset(library, stream, "ctx", ANYWHERE),
        stream_conn: offset(library, stream, "cc", ANYWHERE),
        h2_conn_net: offset(library, conn, "tconn", ANYWHERE),
        carrier: carrier(library),
    };
    set_windows(&mut file);
    require(id, library, &file)?;
    Ok(file)
}

/// Whether a library of this Plan sees streams of HTTP/2 where they are sent: the goroutines that make calls are then noted.
fn has_streams(plan: &Plan) -> bool {
    plan.libraries.iter().any(|library| role(library, "stream").is_some())
}

/// HTTP/2's structs for a stream and a connection, in whichever package this library has them.
fn http2_types(library: &plan::Library) -> [&str; 2] {
    let known = |last: &str| {
        let is_it = |name: &&str| {
            name.rsplit_once('.').is_some_and(|(_, own)| own.trim_start_matches("http2") == last)
        };
        let known = library
            .fields
            .iter()
            .filter(|field| field.offset.is_some())
            .map(|field| field.type_name.as_str());
        known.filter(|name| !name.ends_with(".persistConn")).find(is_it).unwrap_or_default()
    };
    [known("clientStream"), known("ClientConn")]
}

/// Which part of each struct to read: up to the last field that is wanted, and no byte more, since what lies behind may never
/// have been touched.
fn set_windows(file: &mut File) {
    let words = [file.request_url, file.request_header, file.request_response];
    file.request_bytes = reach(&words, &[file.request_method, file.request_ctx]);
    let strings = [
        file.url_scheme,
        file.url_opaque,
        file.url_host,
        file.url_path,
        file.url_raw_path,
        file.url_raw_query,
        file.url_fragment,
    ];
    file.url_bytes = reach(&[file.url_user], &strings);
    let words =
        [file.response_status, file.response_proto_major, file.response_proto_minor, file.response_request];
    file.response_bytes = reach(&words, &[]);
}

/// Where the last of these fields ends.
fn reach(words: &[u16], strings: &[u16]) -> u16 {
    let ends = words.iter().map(|&at| (at, WORD_BYTES)).chain(strings.iter().map(|&at| (at, STRING_BYTES)));
    ends.filter(|&(at, _)| at != NO_OFFSET).map(|(at, len)| at + len).max().unwrap_or(0)
}

fn require(id: &'static str, library: &plan::Library, file: &File) -> Result<(), ConfigError> {
    let required = [
        (REQUEST, "Method", file.request_method, REQUEST_LIMIT),
        (REQUEST, "URL", file.request_url, REQUEST_LIMIT),
        (REQUEST, "Header", file.request_header, REQUEST_LIMIT),
        (URL, "Scheme", file.url_scheme, URL_LIMIT),
        (URL, "Host", file.url_host, URL_LIMIT),
        (URL, "Path", file.url_path, URL_LIMIT),
        (RESPONSE, "StatusCode", file.response_status, RESPONSE_LIMIT),
    ];
    for (type_name, field, offset, limit) in required {
        if offset == NO_OFFSET {
            return Err(unusable(library, id, (type_name, field), limit));
        }
    }
    Ok(())
}
