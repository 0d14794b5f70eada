//! `golang.org/x/net/http2.server`: what its programs count. What they need to know of a file is every HTTP/2 server's.

pub mod counters {
    //! What the programs of `golang.org/x/net/http2.server` count.

    crate::http_server_counters! { "x_net_http2_server": }
}
