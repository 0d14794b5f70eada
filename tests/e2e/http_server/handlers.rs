//! The handlers that net/http itself puts around others, and the ways of answering beside a Write (`tests/apps/httpserver/handlers.go`).
//! `minor` is Go's minor version: `http.ResponseController` came with 1.20.

use strobe_tests::spans::Want;

use super::exchange::Exchange;

/// A text frame of a client, masked with zeros (RFC 6455, 5.2).
const FRAME: &[u8] = b"\x81\x82\0\0\0\0hi";
/// What `http.ResponseController` is since.
const CONTROLLER: u32 = 20;

/// Those that answer.
pub fn by_name(minor: u32) -> Vec<Exchange> {
    let mut all = time_outs();
    all.extend(max_bytes());
    all.extend([
        Exchange::get("/raw/proxy"),
        Exchange::get("/raw/stream"),
        streamed_body(),
        // Over HTTP/2 it has no scheme, and before Go 1.27 no `Request.TLS` therefore: a proxy's word is what there is.
        connect("refused.example:443")
            .header("X-Forwarded-Proto", "https")
            .asked_for("", "https")
            .status(403)
            .closing(),
    ]);
    all.extend((minor >= CONTROLLER).then(|| Exchange::get("/raw/controlled").status(202)));
    all
}

/// `http.TimeoutHandler`, whose own handler runs on another goroutine.
fn time_outs() -> Vec<Exchange> {
    vec![
        Exchange::get("/raw/too-late").status(503),
        Exchange::new("POST", "/raw/in-time").body("hello").status(201),
    ]
}

/// `http.MaxBytesHandler`, before one that answers 413 to what is too long.
fn max_bytes() -> Vec<Exchange> {
    vec![
        Exchange::new("POST", "/raw/short").body("four"),
        Exchange::new("POST", "/raw/short").body("more than four").status(413).closing(),
    ]
}

/// A body that is still on its way when the handler begins.
fn streamed_body() -> Exchange {
    Exchange::new("POST", "/raw/echo")
        .header("Transfer-Encoding", "chunked")
        .body("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n")
        .cut_at(usize::MAX)
        .status(201)
}

/// As proxies are asked for another host, which is all that there is: no path.
fn connect(host: &str) -> Exchange {
    Exchange::new("CONNECT", host).host(host).path(Want::Is("".into()))
}

/// Those that take the connection over.
pub fn taken_over(minor: u32) -> Vec<Exchange> {
    let mut all = vec![connect("tunnel.example:443").hijacked(None), web_socket()];
    all.extend((minor >= CONTROLLER).then(|| Exchange::get("/raw/controlled?hijack").hijacked(None)));
    all
}

/// A handshake, and a first frame.
fn web_socket() -> Exchange {
    Exchange::get("/raw/websocket")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .behind(FRAME)
        .hijacked(Some(101))
}

/// `httputil.ReverseProxy` gives up by `http.ErrAbortHandler` when its upstream has broken off, and `http.TimeoutHandler` hands on the
/// panic of its own handler.
pub fn panics() -> [Exchange; 2] {
    [Exchange::get("/raw/proxy?breaks").aborts(Some(200)), Exchange::get("/raw/panic-in-time").panics(None)]
}
