//! A collector that answers as it is told, then well: HTTP/1.1 by hand, on loopback.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How a request is answered.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// With these bytes.
    Send(Vec<u8>),
    /// By closing the connection.
    Drop,
    /// Never.
    Hang,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self::Send(format!("HTTP/1.1 {status} Because\r\nContent-Length: 0\r\n\r\n").into_bytes())
    }

    pub(super) fn with_header(self, header: &str) -> Self {
        let Self::Send(bytes) = self else { return self };
        Self::Send(
            String::from_utf8_lossy(&bytes).replacen("\r\n", &format!("\r\n{header}\r\n"), 1).into_bytes(),
        )
    }

    pub(super) fn partial(rejected_spans: i64, message: &str) -> Self {
        let partial_success =
            Some(ExportTracePartialSuccess { rejected_spans, error_message: message.to_owned() });
        Self::ok(&ExportTraceServiceResponse { partial_success }.encode_to_vec())
    }

    pub(super) fn garbage() -> Self {
        Self::ok(b"\xff\xff\xff")
    }

    fn ok(body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        Self::Send([head.as_bytes(), body].concat())
    }
}

/// What came in.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) line: String,
    /// Header lines, in lower case.
    pub(super) head: String,
    pub(super) spans: usize,
    accepted: bool,
}

/// What a collector is like beyond its answers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nature {
    /// Each answer takes so long.
    pub(super) latency: Duration,
    /// Longer requests are answered with 413.
    pub(super) limit_bytes: Option<usize>,
    /// Spans are not looked at.
    pub(super) blind: bool,
}

#[derive(Debug, Default)]
struct State {
    nature: Nature,
    replies: Vec<Reply>,
    requests: Vec<Request>,
    connections: usize,
}

pub(super) struct Collector {
    pub(super) port: u16,
    state: Arc<Mutex<State>>,
}

impl Collector {
    /// Answers with `replies` in turn, then with 200.
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        Self::start_on(0, replies).await
    }

    pub(super) async fn start_on(port: u16, replies: Vec<Reply>) -> Self {
        Self::listen(port, replies, Nature::default()).await
    }

    pub(super) async fn start_as(nature: Nature) -> Self {
        Self::listen(0, vec![], nature).await
    }

    async fn listen(port: u16, mut replies: Vec<Reply>, nature: Nature) -> Self {
        replies.reverse();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("binds");
        let port = listener.local_addr().expect("address").port();
        let state = Arc::new(Mutex::new(State { replies, nature, ..State::default() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                with(&shared, |state| state.connections += 1);
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { port, state }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        with(&self.state, |state| state.requests.clone())
    }

    /// Spans in requests that were answered with 200.
    pub(super) fn spans(&self) -> usize {
        self.requests().iter().filter(|request| request.accepted).map(|request| request.spans).sum()
    }

    pub(super) fn connections(&self) -> usize {
        with(&self.state, |state| state.connections)
    }
}

fn with<T>(state: &Mutex<State>, f: impl FnOnce(&mut State) -> T) -> T {
    f(&mut state.lock().unwrap_or_else(PoisonError::into_inner))
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = read_request(&mut stream, &mut buffer).await {
        let (line, head) = head.split_once("\r\n").expect("request line");
        let head = head.to_lowercase();
        let nature = with(&state, |state| state.nature);
        let is_gzip = head.contains("content-encoding: gzip");
        let spans = if nature.blind { 0 } else { count_spans(&body, is_gzip) };
        tokio::time::sleep(nature.latency).await;
        let reply = match nature.limit_bytes {
            Some(limit) if body.len() > limit => Some(Reply::status(413)),
            _ => with(&state, |state| state.replies.pop()),
        };
        let accepted = reply.is_none();
        let request = Request { line: line.to_owned(), head, spans, accepted };
        with(&state, |state| state.requests.push(request));
        match reply.unwrap_or_else(|| Reply::ok(&[])) {
            Reply::Send(bytes) => stream.write_all(&bytes).await.expect("client reads"),
            Reply::Drop => return,
            Reply::Hang => return std::future::pending().await,
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head.to_lowercase();
            let length =
                length.lines().find_map(|line| line.strip_prefix("content-length: ").map(str::to_owned));
            // What asks the port what it speaks is no request.
            let length: usize = length?.parse().expect("number");
            if buffer.len() >= end + 4 + length {
                let body = buffer[end + 4..end + 4 + length].to_vec();
                buffer.drain(..end + 4 + length);
                return Some((head, body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn count_spans(body: &[u8], gzip: bool) -> usize {
    let mut plain = Vec::new();
    if gzip {
        flate2::read::GzDecoder::new(body).read_to_end(&mut plain).expect("gzip");
    } else {
        plain.extend_from_slice(body);
    }
    let request = ExportTraceServiceRequest::decode(plain.as_slice()).expect("protobuf");
    request.resource_spans.iter().flat_map(|spans| &spans.scope_spans).map(|spans| spans.spans.len()).sum()
}
