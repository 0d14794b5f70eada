//! OTLP over HTTP/protobuf: one request at a time, each retried by [`super::retry`] until it is accepted, refused or too old.
//!
//! What the protocol asks of a client: keep-alive, gzip on demand, a partial success is final, answers are read to a limit.
//! `OTEL_EXPORTER_OTLP_TIMEOUT` and `OTEL_BSP_EXPORT_TIMEOUT` limit one attempt each, not all of them together: an agent has
//! to outlive a collector that restarts. Redirects are not followed, headers with credentials would go along.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use prost::bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Response, Url, redirect};

use super::batch::{Item, Queue};
use super::limit::Limiter;
use super::retry::{Backoff, Verdict, judge};
use super::stats::Counters;
use super::{StartError, waterfall, wire};
use crate::config::{Batch, Otlp};
use crate::resource::{AGENT_NAME, AGENT_VERSION};

/// The most that is read of an answer.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// The most that is logged of what a collector said.
const MAX_LOGGED_CHARS: usize = 300;

/// Sends batches.
pub struct Sender {
    client: Client,
    endpoint: Url,
    gzip: bool,
    timeout: Option<Duration>,
    counters: Arc<Counters>,
    trouble: Limiter,
}

/// What one attempt came to.
enum Attempt {
    Accepted(Vec<u8>),
    Retry { least: Duration, why: String },
    Refused { why: String },
}

/// Sends batches until the queue is closed and empty.
pub async fn run(queue: Arc<Queue>, sender: Sender) {
    while let Some(batch) = queue.next_batch().await {
        sender.deliver(&batch).await;
    }
}

impl Sender {
    pub(super) fn new(otlp: &Otlp, batch: &Batch, counters: Arc<Counters>) -> Result<Self, StartError> {
        let limits = [otlp.timeout, batch.export_timeout];
        Ok(Self {
            client: client(otlp)?,
            endpoint: otlp.endpoint.clone(),
            gzip: otlp.gzip,
            timeout: limits.into_iter().filter(|limit| !limit.is_zero()).min(),
            counters,
            trouble: Limiter::default(),
        })
    }

    /// Sends a batch, and accounts for each of its spans.
    async fn deliver(&self, batch: &[Item]) {
        let spans = batch.len() as u64;
        let body = self.body(batch);
        let begin = Instant::now();
        let mut backoff = Backoff::default();
        loop {
            self.counters.requests.add(1);
            match self.attempt(body.clone()).await {
                Attempt::Accepted(answer) => return self.accepted(spans, &answer),
                Attempt::Refused { why } => {
                    self.counters.refused.add(spans);
                    return self.warn(spans, &why, "the collector refused spans");
                }
                Attempt::Retry { least, why } => match backoff.wait(begin.elapsed(), least, random()) {
                    Some(wait) => {
                        self.warn(spans, &why, "the collector does not take spans: trying again");
                        tokio::time::sleep(wait).await;
                        self.counters.retries.add(1);
                    }
                    None => {
                        self.counters.gave_up.add(spans);
                        return self.warn(
                            spans,
                            &why,
                            "the collector was out of reach for too long: spans are dropped",
                        );
                    }
                },
            }
        }
    }

    fn body(&self, batch: &[Item]) -> Bytes {
        let plain = wire::encode_request(batch);
        if self.gzip { gzip(&plain).unwrap_or_else(|_| plain.clone()).into() } else { plain.into() }
    }

    async fn attempt(&self, body: Bytes) -> Attempt {
        // A body that could not be compressed goes as it is; only gzip begins with these two bytes.
        let is_gzip = self.gzip && body.starts_with(&[0x1f, 0x8b]);
        let mut request = self.client.post(self.endpoint.clone()).body(body);
        if is_gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        match request.send().await {
            Ok(response) => self.judge(response).await,
            Err(error) => Attempt::Retry { least: Duration::ZERO, why: chain(&error.without_url()) },
        }
    }

    async fn judge(&self, response: Response) -> Attempt {
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let verdict = judge(status.as_u16(), retry_after, SystemTime::now());
        let answer = read(response).await;
        match (verdict, answer) {
            (Verdict::Accepted, Ok(answer)) => Attempt::Accepted(answer),
            // The collector has taken the spans, whatever became of its answer: sending again would double them.
            (Verdict::Accepted, Err(why)) => {
                tracing::debug!("the collector's answer could not be read: {why}");
                Attempt::Accepted(Vec::new())
            }
            (Verdict::Retry(least), _) => Attempt::Retry { least, why: status.to_string() },
            (Verdict::Refused, answer) => {
                let text = String::from_utf8_lossy(answer.as_deref().unwrap_or_default()).into_owned();
                tracing::debug!("the collector's answer: {}", shown(&text));
                Attempt::Refused { why: status.to_string() }
            }
        }
    }

    /// A partial success is final: what was rejected is lost.
    fn accepted(&self, spans: u64, answer: &[u8]) {
        let partial = match ExportTraceServiceResponse::decode(answer) {
            Ok(answer) => answer.partial_success.unwrap_or_default(),
            Err(error) => {
                tracing::debug!("the collector's answer is not an ExportTraceServiceResponse: {error}");
                Default::default()
            }
        };
        let rejected = u64::try_from(partial.rejected_spans).unwrap_or(0).min(spans);
        self.counters.rejected.add(rejected);
        self.counters.exported.add(spans - rejected);
        if rejected > 0 {
            self.warn(rejected, &partial.error_message, "the collector rejected some spans");
        } else if !partial.error_message.is_empty() {
            self.warn(0, &partial.error_message, "the collector took all spans, with a warning");
        }
    }

    fn warn(&self, spans: u64, why: &str, what: &str) {
        if let Some(suppressed) = self.trouble.allow() {
            tracing::warn!(spans, suppressed, endpoint = %without_secrets(&self.endpoint), "{what}: {}", shown(why));
        }
    }
}

/// The endpoint for a log: without credentials and query.
pub(super) fn without_secrets(endpoint: &Url) -> String {
    format!("{}{}", endpoint.origin().ascii_serialization(), endpoint.path())
}

fn shown(text: &str) -> String {
    waterfall::printable(text).chars().take(MAX_LOGGED_CHARS).collect()
}

fn client(otlp: &Otlp) -> Result<Client, StartError> {
    let mut headers: HeaderMap = otlp.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    let mut builder = Client::builder()
        .default_headers(headers)
        .user_agent(format!("{AGENT_NAME}/{AGENT_VERSION}"))
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .pool_max_idle_per_host(1);
    if is_local(&otlp.endpoint) {
        // HTTP_PROXY is about the network; a collector on this machine is not there.
        builder = builder.no_proxy();
    }
    tls(builder, otlp)?.build().map_err(|error| StartError::Client(chain(&error)))
}

fn is_local(endpoint: &Url) -> bool {
    let host = endpoint.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn tls(mut builder: ClientBuilder, otlp: &Otlp) -> Result<ClientBuilder, StartError> {
    // Ours is the only one; an Err means that it is there already.
    drop(rustls::crypto::ring::default_provider().install_default());
    if let Some(path) = &otlp.certificate {
        const VARIABLE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
        let pem = read_pem(VARIABLE, path)?;
        let certificates =
            Certificate::from_pem_bundle(&pem).map_err(|error| unusable(VARIABLE, path, &error))?;
        builder = builder.tls_certs_only(certificates);
    } else if otlp.endpoint.scheme() == "http" {
        // The system's certificates take 2 MB of memory, and nobody is going to ask for them.
        builder = builder.tls_certs_only([]);
    }
    match (&otlp.client_certificate, &otlp.client_key) {
        (Some(certificate), Some(key)) => {
            const VARIABLE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
            let mut pem = read_pem(VARIABLE, certificate)?;
            pem.push(b'\n');
            pem.extend(read_pem("OTEL_EXPORTER_OTLP_CLIENT_KEY", key)?);
            let identity = Identity::from_pem(&pem).map_err(|error| unusable(VARIABLE, certificate, &error))?;
            Ok(builder.identity(identity))
        }
        (None, None) => Ok(builder),
        _ => Err(StartError::Client(
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY need each other: set both".to_owned(),
        )),
    }
}

fn read_pem(variable: &'static str, path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|error| unusable(variable, path, &error))
}

fn unusable(variable: &'static str, path: &Path, error: &dyn std::error::Error) -> StartError {
    StartError::Pem { variable, path: path.to_owned(), why: chain(error) }
}

async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
        if answer.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(format!("it is longer than {MAX_ANSWER_BYTES} bytes"));
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(answer)
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let out = Vec::with_capacity(plain.len() / 4);
    let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// An error with its sources: reqwest's own text says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// From 0 to 1: enough to keep agents from knocking in step. `RandomState` is seeded by the system.
fn random() -> f64 {
    use std::hash::BuildHasher;
    let bits = std::collections::hash_map::RandomState::new().hash_one(0);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
