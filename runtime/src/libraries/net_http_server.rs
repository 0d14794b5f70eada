//! `net/http.server`: from its part of the Plan to the programs' configuration.

use analyzer::plan::{Arch, Library, MapImplementation, MapLayout, Site, When};
use runtime_ebpf::net_http_server::{
    CHECK_NONE, Config, HEADERS_HMAP, HEADERS_NONE, HEADERS_SWISS, HEADERS_SWISS_SPLIT, MAX_OFFSET,
    NO_OFFSET, REQUEST_WINDOW, RESPONSE_WINDOW, START_WINDOW,
};

use super::{ConfigError, Sampling, offset, role, stack_check};

/// Catalog id.
pub const ID: &str = "net/http.server";
/// The map of configurations, by process.
pub const PROCESSES: &str = "NET_HTTP_SERVER";
/// The map of requests in flight.
pub const IN_FLIGHT: &str = "NET_HTTP_FLIGHT";
/// The ring of records.
pub const RECORDS: &str = "NET_HTTP_RECORDS";

const REQUEST: &str = "net/http.Request";
const RESPONSE: &str = "net/http.response";
const URL: &str = "net/url.URL";
/// A Go string is two words.
const STRING_BYTES: u64 = 16;
/// The last offsets in the windows that leave room for a string.
const WINDOW_LIMIT: u64 = REQUEST_WINDOW as u64 - STRING_BYTES;
const START_LIMIT: u64 = START_WINDOW as u64 - STRING_BYTES;
const RESPONSE_LIMIT: u64 = RESPONSE_WINDOW as u64 - STRING_BYTES;

/// The configuration for every process of this binary, the sampler aside alike for all.
pub fn config(library: &Library, arch: Arch, sampling: Sampling) -> Result<Config, ConfigError> {
    let start = site(library, "start").ok_or(ConfigError::NoSite { library: ID, role: "start" })?;
    let end = site(library, "end").ok_or(ConfigError::NoSite { library: ID, role: "end" })?;
    let after_read = start.when == When::AfterCall;
    let request = |field| offset(library, REQUEST, field, WINDOW_LIMIT);
    let at_start = |field| offset(library, REQUEST, field, START_LIMIT);
    let response = |field| offset(library, RESPONSE, field, RESPONSE_LIMIT);
    let plain = |type_name, field| offset(library, type_name, field, u64::from(MAX_OFFSET));
    // A branch behind a call is no stack check.
    let check = |site: Option<&Site>| match site {
        Some(site) if site.when == When::Entry => stack_check(arch, &site.bytes),
        _ => CHECK_NONE,
    };
    let mut config = Config {
        start_vaddr: start.vaddr,
        writer_itab_vaddr: writer_itab(library)?,
        sampler: sampling.sampler,
        request_bytes: 0,
        start_bytes: 0,
        response_bytes: 0,
        request_method: at_start("Method"),
        request_url: request("URL"),
        request_proto_major: request("ProtoMajor"),
        request_proto_minor: request("ProtoMinor"),
        request_header: at_start("Header"),
        request_host: request("Host"),
        request_remote_addr: request("RemoteAddr"),
        request_request_uri: at_start("RequestURI"),
        request_tls: request("TLS"),
        request_pattern: request("Pattern"),
        request_pat: request("pat"),
        pattern_str: plain("net/http.pattern", "str"),
        response_conn: response("conn"),
        response_status: response("status"),
        response_req: plain(RESPONSE, "req"),
        conn_remote_addr: plain("net/http.conn", "remoteAddr"),
        url_path: plain(URL, "Path"),
        url_raw_path: plain(URL, "RawPath"),
        url_raw_query: plain(URL, "RawQuery"),
        headers: library
            .maps
            .iter()
            .find(|m| m.type_name == "map[string][]string")
            .map_or(HEADERS_NONE, headers),
        start_check: check(Some(start)),
        end_check: check(Some(end)),
        hijack_check: check(site(library, "hijack")),
        abort_check: check(site(library, "abort")),
        ignore_parent: u8::from(!sampling.extract),
        start_after_read: u8::from(after_read),
        reserved: [0; 5],
    };
    set_windows(&mut config);
    require(library, &config)?;
    Ok(config)
}

fn site<'a>(library: &'a Library, name: &str) -> Option<&'a Site> {
    role(library, name)?.sites.first()
}

/// Behind readRequest there is nothing to compare with, but the Plan has it all the same.
fn writer_itab(library: &Library) -> Result<u64, ConfigError> {
    let (interface, concrete) = ("net/http.ResponseWriter", "*net/http.response");
    library
        .itabs
        .iter()
        .find(|itab| itab.interface == interface && itab.concrete == concrete)
        .and_then(|itab| itab.vaddr)
        .ok_or(ConfigError::Itab { library: ID, interface, concrete })
}

/// How many bytes of each struct to read: up to the last field that is wanted, and no byte more, since what lies behind may
/// never have been touched.
fn set_windows(config: &mut Config) {
    let words = [
        config.request_url,
        config.request_proto_major,
        config.request_proto_minor,
        config.request_tls,
        config.request_pat,
    ];
    let strings =
        [config.request_host, config.request_remote_addr, config.request_request_uri, config.request_pattern];
    config.request_bytes = window(&words, &strings);
    config.start_bytes =
        window(&[config.request_header], &[config.request_method, config.request_request_uri]);
    config.response_bytes = window(&[config.response_conn, config.response_status], &[]);
}

fn window(words: &[u16], strings: &[u16]) -> u16 {
    let ends = words.iter().map(|&at| (at, 8)).chain(strings.iter().map(|&at| (at, 16)));
    ends.filter(|&(at, _)| at != NO_OFFSET).map(|(at, len)| at + len).max().unwrap_or(0)
}

fn require(library: &Library, config: &Config) -> Result<(), ConfigError> {
    let required = [
        (REQUEST, "Method", config.request_method, START_LIMIT),
        (REQUEST, "URL", config.request_url, WINDOW_LIMIT),
        (REQUEST, "RequestURI", config.request_request_uri, START_LIMIT),
        (RESPONSE, "status", config.response_status, RESPONSE_LIMIT),
        (RESPONSE, "conn", config.response_conn, RESPONSE_LIMIT),
        (URL, "Path", config.url_path, u64::from(MAX_OFFSET)),
        (URL, "RawPath", config.url_raw_path, u64::from(MAX_OFFSET)),
        (URL, "RawQuery", config.url_raw_query, u64::from(MAX_OFFSET)),
    ];
    let by_response = (RESPONSE, "req", config.response_req, u64::from(MAX_OFFSET));
    let extra = (config.start_after_read != 0).then_some(by_response);
    for (type_name, field, offset, limit) in required.into_iter().chain(extra) {
        if offset == NO_OFFSET {
            let planned = library.fields.iter().find(|f| f.type_name == type_name && f.field == field);
            let offset = planned.and_then(|f| f.offset);
            return Err(ConfigError::Offset { library: ID, type_name, field, offset, limit });
        }
    }
    Ok(())
}

/// Which walk fits the map's layout; none for one that the programs do not know.
fn headers(map: &MapLayout) -> u8 {
    let shape = (map.keys_offset, map.key_stride, map.elems_offset, map.elem_stride, map.group_size);
    match (map.implementation, shape) {
        (Some(MapImplementation::Swiss), (8, 40, 24, 40, 328)) => HEADERS_SWISS,
        (Some(MapImplementation::Swiss), (8, 16, 136, 24, 328)) => HEADERS_SWISS_SPLIT,
        (Some(MapImplementation::Hmap), (8, 16, 136, 24, 336)) => HEADERS_HMAP,
        _ => HEADERS_NONE,
    }
}
