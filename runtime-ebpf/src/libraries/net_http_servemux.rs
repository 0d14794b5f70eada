//! `net/http.servemux`: what its program counts. It needs to know nothing of a file.

pub mod counters {
    //! What the program of `net/http.servemux` counts.

    crate::route_counters! { "net_http_servemux" }
}
