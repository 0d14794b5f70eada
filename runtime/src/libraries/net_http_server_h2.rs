//! `net/http.server.h2`: the standard library's HTTP/2 server.

use runtime_ebpf::libraries::NET_HTTP_SERVER_H2;

use super::http2_server::Http2Server;
use crate::spans::semconv::scope;

/// The library.
pub const LIBRARY: Http2Server = Http2Server {
    kernel: NET_HTTP_SERVER_H2,
    programs: &[("start", "net_http_server_h2_start"), ("end", "net_http_server_h2_end")],
    tails: &["net_http_server_h2_whole"],
    tail_map: "NET_HTTP_SERVER_H2_TAILS",
    file_map: "NET_HTTP_SERVER_H2_FILES",
    scope: scope::NET_HTTP,
};
