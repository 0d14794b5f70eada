//! `net/http.client`: the standard library's client, over HTTP/1.x and HTTP/2.

use runtime_ebpf::libraries::NET_HTTP_CLIENT;

use super::http_client::{BLOCKS, HttpClient, LINES, flight, names};
use crate::spans::semconv::scope;

/// The library.
pub const LIBRARY: HttpClient = HttpClient {
    kernel: NET_HTTP_CLIENT,
    programs: &[
        ("start", "net_http_client_start"),
        ("conn", "net_http_client_conn"),
        ("stream", "net_http_client_stream"),
        ("end", "net_http_client_end"),
        ("h2_end", "net_http_client_h2_end"),
    ],
    telling: &[
        ("conn", "net_http_client_conn_carrying"),
        ("header", "net_http_client_header"),
        ("stream", "net_http_client_stream_carrying"),
        ("frame", "net_http_client_frame"),
    ],
    carriers: &[LINES, BLOCKS],
    file_map: "NET_HTTP_CLIENT_FILES",
    flight: flight("NET_HTTP_CLIENT_FLIGHT", "NET_HTTP_CLIENT_USE", "NET_HTTP_CLIENT_ENTRIES", 1),
    scope: scope::NET_HTTP,
    names: names!("net_http_client"),
};
