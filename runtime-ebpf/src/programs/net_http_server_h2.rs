//! `net/http.server.h2`: the bundle in net/http up to Go 1.26, and `net/http/internal/http2` since.

super::http2_server::http2_server! {
    NET_HTTP_SERVER_H2 NET_HTTP_SERVER_H2_FILES NET_HTTP_SERVER_H2_TAILS
    net_http_server_h2_start net_http_server_h2_end net_http_server_h2_whole
}
