//! `net/http.server.h2`: what its programs count. What they need to know of a file is every HTTP/2 server's.

pub mod counters {
    //! What the programs of `net/http.server.h2` count.

    crate::http_server_counters! { "net_http_server_h2": }
}
