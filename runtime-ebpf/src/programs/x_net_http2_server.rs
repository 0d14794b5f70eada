//! `golang.org/x/net/http2.server`.

super::http2_server::http2_server! {
    X_NET_HTTP2_SERVER X_NET_HTTP2_SERVER_FILES X_NET_HTTP2_SERVER_TAILS
    x_net_http2_server_start x_net_http2_server_end x_net_http2_server_whole
}
