//! `golang.org/x/net/http2.server`: the HTTP/2 server of golang.org/x/net.

use runtime_ebpf::libraries::X_NET_HTTP2_SERVER;

use super::http2_server::Http2Server;
use crate::spans::semconv::scope;

/// The library.
pub const LIBRARY: Http2Server = Http2Server {
    kernel: X_NET_HTTP2_SERVER,
    programs: &[("start", "x_net_http2_server_start"), ("end", "x_net_http2_server_end")],
    tails: &["x_net_http2_server_whole"],
    tail_map: "X_NET_HTTP2_SERVER_TAILS",
    file_map: "X_NET_HTTP2_SERVER_FILES",
    scope: scope::X_NET_HTTP2,
};
