//! `golang.org/x/net/http2.client`: what its programs count. What they need to know of a file is every HTTP client's.

pub mod counters {
    //! What the programs of `golang.org/x/net/http2.client` count.

    crate::http_client_counters! { "x_net_http2_client" }
}
