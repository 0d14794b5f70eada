//! `net/http.client`: what its programs count. What they need to know of a file is every HTTP client's.

pub mod counters {
    //! What the programs of `net/http.client` count.

    crate::http_client_counters! { "net_http_client" }
}
