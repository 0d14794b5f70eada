//! What the programs of `net/http.server` count.

crate::http_server_counters! { "net_http_server":
    /// Beginnings that were sent as text.
    Text = "net_http_server.text", info;
    /// Requests over HTTP/2 in a file where no library traces them: their ResponseWriter is not `*net/http.response`, or they are
    /// its preface.
    Http2 = "net_http_server.http2", info;
    /// Hijacks on another goroutine than the request's.
    HijackedElsewhere = "net_http_server.hijacked_elsewhere", info;
}
