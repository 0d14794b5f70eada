//! `golang.org/x/net/http2.client`: the HTTP/2 client of golang.org/x/net.

use runtime_ebpf::libraries::X_NET_HTTP2_CLIENT;

use super::http_client::{BLOCKS, HttpClient, flight, names};
use crate::spans::semconv::scope;

/// The library. Its table is half as large as the others': fewer programs call by it alone.
pub const LIBRARY: HttpClient = HttpClient {
    kernel: X_NET_HTTP2_CLIENT,
    programs: &[
        ("start", "x_net_http2_client_start"),
        ("start_copied", "x_net_http2_client_start_copied"),
        ("conn", "x_net_http2_client_conn"),
        ("stream", "x_net_http2_client_stream"),
        ("end", "x_net_http2_client_end"),
    ],
    telling: &[("stream", "x_net_http2_client_stream_carrying"), ("frame", "x_net_http2_client_frame")],
    carriers: &[BLOCKS],
    file_map: "X_NET_HTTP2_CLIENT_FILES",
    flight: flight("X_NET_HTTP2_CLIENT_FLIGHT", "X_NET_HTTP2_CLIENT_USE", "X_NET_HTTP2_CLIENT_ENTRIES", 2),
    scope: scope::X_NET_HTTP2,
    names: names!("x_net_http2_client"),
};
