//! A fake OTLP/HTTP receiver. It accepts `POST /v1/traces` with protobuf, plain or gzip, by length or in chunks, decodes
//! every request strictly, and keeps what it was sent. It can be told to answer with another status, once or for a while.

use std::collections::VecDeque;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::spans::{self, Received};
use crate::wire::{self, Head};

/// A receiver on a port of its own, alive until dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    spans: Vec<Received>,
    requests: Vec<Request>,
    /// Statuses for the next requests; then 200.
    answers: VecDeque<u16>,
    /// What was wrong with what was sent.
    errors: Vec<String>,
    /// How long every answer takes.
    delay: Duration,
    closed: bool,
}

/// One request as it came, its spans aside.
#[derive(Debug, Clone)]
pub struct Request {
    /// Start line and headers.
    pub head: Head,
    /// How many spans it brought.
    pub spans: usize,
    /// How many resources (processes).
    pub resources: usize,
    /// The status it was answered with.
    pub answered: u16,
}

impl Collector {
    /// Listens on a free port of loopback.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen for OTLP")?;
        let collector = Collector { address: listener.local_addr()?, shared: Arc::default() };
        let shared = Arc::clone(&collector.shared);
        std::thread::spawn(move || accept(&listener, &shared));
        Ok(collector)
    }

    /// `http://127.0.0.1:PORT`, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `127.0.0.1:PORT`, as people write it too.
    pub fn endpoint_without_scheme(&self) -> String {
        self.address.to_string()
    }

    /// Answers the next requests with these statuses; their spans are not kept unless the status is 200.
    pub fn answer_with(&self, statuses: impl IntoIterator<Item = u16>) {
        self.lock().answers.extend(statuses);
    }

    /// From now on every answer takes this long, each connection for itself.
    pub fn answer_after(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Waits until `count` spans have come, or the time is over; says how many there are.
    pub fn wait_for(&self, count: usize, limit: Duration) -> usize {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if state.spans.len() >= count || left.is_zero() {
                return state.spans.len();
            }
            state = self.shared.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything received so far; an error if anything that came was not valid OTLP.
    pub fn take(&self) -> Result<Vec<Received>> {
        let mut state = self.lock();
        if !state.errors.is_empty() {
            bail!("the collector was sent something invalid: {}", state.errors.join("; "));
        }
        Ok(std::mem::take(&mut state.spans))
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.lock().closed = true;
        // Wakes the accepting thread, which then sees `closed`; if nobody listens any more, all is well too.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.state.lock().unwrap_or_else(PoisonError::into_inner).closed {
            return;
        }
        let shared = Arc::clone(shared);
        if let Ok(stream) = stream {
            std::thread::spawn(move || {
                if let Err(e) = serve(stream, &shared) {
                    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.errors.push(format!("{e:#}"));
                }
            });
        }
    }
}

/// Serves one kept-alive connection.
fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    // A connection that ends between two requests, in whatever way, is not an error.
    while let Ok(Some(head)) = wire::read_head(&mut reader) {
        let body = wire::read_body(&mut reader, &head, false)?;
        let status = receive(shared, &head, &body)?;
        let delay = shared.state.lock().unwrap_or_else(PoisonError::into_inner).delay;
        std::thread::sleep(delay);
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
        );
        writer.write_all(answer.as_bytes()).context("answer an export")?;
    }
    Ok(())
}

/// Decodes and keeps one request; its status.
fn receive(shared: &Shared, head: &Head, body: &[u8]) -> Result<u16> {
    if head.start != "POST /v1/traces HTTP/1.1" {
        bail!("unexpected request {:?}", head.start);
    }
    if head.get("content-type") != Some("application/x-protobuf") {
        bail!("content-type {:?}", head.get("content-type"));
    }
    let request = ExportTraceServiceRequest::decode(inflate(head, body)?.as_slice())
        .context("decode an ExportTraceServiceRequest")?;
    let resources = request.resource_spans.len();
    let spans = spans::received(request)?;
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    let answered = state.answers.pop_front().unwrap_or(200);
    state.requests.push(Request { head: head.clone(), spans: spans.len(), resources, answered });
    if answered == 200 {
        state.spans.extend(spans);
    }
    shared.arrived.notify_all();
    Ok(answered)
}

fn inflate(head: &Head, body: &[u8]) -> Result<Vec<u8>> {
    match head.get("content-encoding") {
        None | Some("identity") => Ok(body.to_vec()),
        Some("gzip") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(body).read_to_end(&mut plain).context("inflate an export")?;
            Ok(plain)
        }
        Some(other) => bail!("content-encoding {other:?}"),
    }
}
