//! OTLP over HTTP/protobuf: several requests at a time, each retried by [`super::retry`] until it is accepted, refused or too
//! old.
//!
//! What the protocol asks of a client: keep-alive, gzip on demand, a partial success is final, answers are read to a limit.
//! `OTEL_EXPORTER_OTLP_TIMEOUT` and `OTEL_BSP_EXPORT_TIMEOUT` limit one attempt each, not all of them together: an agent has
//! to outlive a collector that restarts. A collector that finds a request too large (413) gets its halves.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use prost::bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, Url};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};

use super::batch::{Item, Queue};
use super::cause::Cause;
use super::client::{client, is_direct};
use super::error::StartError;
use super::limit::Limiter;
use super::retry::{Backoff, GIVE_UP_AFTER, Verdict, judge};
use super::secrets::{Secrets, without_secrets};
use super::stats::Counters;
use super::trouble::Trouble;
use super::{probe, wire};
use crate::causes::chain;
use crate::config::{Batch, Otlp};
use crate::log;

/// The most that is read of an answer.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// The most that is logged of what a collector said.
const MAX_LOGGED_CHARS: usize = 300;

/// Sends batches.
pub(super) struct Sender {
    client: Client,
    endpoint: Url,
    /// The variable that named the endpoint.
    variable: &'static str,
    secrets: Secrets,
    /// Whether no proxy is configured that requests might go through.
    direct: bool,
    gzip: bool,
    timeout: Option<Duration>,
    concurrent: usize,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    trouble: Arc<Trouble>,
    remarks: Limiter,
}

/// What one attempt came to.
enum Attempt {
    Accepted(Vec<u8>),
    Retry { least: Duration, failure: Failure },
    TooLarge,
    Refused(Failure),
}

/// Why an attempt failed, and what the client or the collector said of it.
struct Failure {
    cause: Cause,
    said: String,
}

/// Sends batches until the queue is closed and empty, at most `concurrent` at a time. A batch that waits for its next attempt
/// holds up none of the others, and what all of them hold together is bounded by their number.
pub(super) async fn run(sender: Arc<Sender>) {
    let room = Arc::new(Semaphore::new(sender.concurrent));
    let mut requests = JoinSet::new();
    // The semaphore is never closed.
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        let Some(batch) = sender.queue.next_batch().await else { break };
        let sender = Arc::clone(&sender);
        requests.spawn(async move {
            sender.deliver(batch).await;
            drop(permit);
        });
        while let Some(ended) = requests.try_join_next() {
            report_panic(ended);
        }
    }
    while let Some(ended) = requests.join_next().await {
        report_panic(ended);
    }
}

/// The spans of a request that panicked are counted with those that were not sent.
fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a request of the exporter has panicked: {error}");
    }
}

/// A single span was too large. If that is its resource's fault, the other spans of that process have no better chance: they
/// are taken out, and their number is given.
fn without_hope(parts: &mut Vec<Vec<Item>>, span: &Item) -> u64 {
    if span.resource.encoded.len() < span.bytes.len() {
        return 0;
    }
    let before: usize = parts.iter().map(Vec::len).sum();
    for part in parts.iter_mut() {
        part.retain(|item| !Arc::ptr_eq(&item.resource, &span.resource));
    }
    parts.retain(|part| !part.is_empty());
    (before - parts.iter().map(Vec::len).sum::<usize>()) as u64
}

impl Sender {
    pub(super) fn new(
        otlp: &Otlp,
        batch: &Batch,
        (queue, counters, trouble): (Arc<Queue>, Arc<Counters>, Arc<Trouble>),
    ) -> Result<Self, StartError> {
        let limits = [otlp.timeout, batch.export_timeout];
        Ok(Self {
            client: client(otlp, batch.concurrent)?,
            endpoint: otlp.endpoint.clone(),
            variable: otlp.endpoint_variable,
            secrets: Secrets::new(&otlp.endpoint, &otlp.headers),
            direct: is_direct(&otlp.endpoint),
            gzip: otlp.gzip,
            timeout: limits.into_iter().filter(|limit| !limit.is_zero()).min(),
            concurrent: batch.concurrent.max(1),
            queue,
            counters,
            trouble,
            remarks: Limiter::default(),
        })
    }

    /// Sends a batch, in parts if need be, and accounts for each of its spans.
    async fn deliver(&self, batch: Vec<Item>) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let Some(bytes) = self.send(&part).await else { continue };
            if let [span] = part.as_slice() {
                let dropped = 1 + without_hope(&mut parts, span);
                self.counters.too_large.add(dropped);
                let failure = Failure { cause: Cause::Status(413), said: "413".to_owned() };
                self.fail(dropped, failure, "dropped").await;
                continue;
            }
            self.queue.cut_below(bytes);
            self.counters.halved.add(1);
            let rest = part.split_off(part.len() / 2);
            parts.extend([rest, part]);
        }
    }

    /// Sends these spans until their fate is known; the request's size if the collector finds it too large.
    async fn send(&self, spans: &[Item]) -> Option<usize> {
        let count = spans.len() as u64;
        let plain = wire::encode_request(spans);
        let bytes = plain.len();
        let body = self.body(plain);
        let begin = Instant::now();
        let mut backoff = Backoff::default();
        loop {
            self.counters.requests.add(1);
            match self.attempt(body.clone()).await {
                Attempt::Accepted(answer) => {
                    self.accepted(count, &answer);
                    return None;
                }
                Attempt::TooLarge => return Some(bytes),
                Attempt::Refused(failure) => {
                    self.counters.refused.add(count);
                    self.fail(count, failure, "the collector refused spans, they are dropped").await;
                    return None;
                }
                Attempt::Retry { least, failure } => {
                    let wait = backoff.wait(begin.elapsed(), least, random());
                    let what = match wait {
                        Some(_) => format!("spans are kept and sent again for {} s", GIVE_UP_AFTER.as_secs()),
                        None => "spans were sent again for long enough, they are dropped".to_owned(),
                    };
                    let told = self.fail(count, failure, &what);
                    let Some(wait) = wait else {
                        self.counters.gave_up.add(count);
                        told.await;
                        return None;
                    };
                    // Finding out what to say takes its time, and the next attempt does not wait for that.
                    tokio::join!(told, tokio::time::sleep(wait));
                    self.counters.retries.add(1);
                }
            }
        }
    }

    fn body(&self, plain: Vec<u8>) -> Bytes {
        if self.gzip { gzip(&plain).unwrap_or(plain).into() } else { plain.into() }
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
            Err(error) => {
                let failure = Failure { cause: Cause::of(&error), said: chain(&error.without_url()) };
                Attempt::Retry { least: Duration::ZERO, failure }
            }
        }
    }

    async fn judge(&self, response: Response) -> Attempt {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let verdict = judge(status.as_u16(), header(RETRY_AFTER), SystemTime::now());
        // A gRPC server answers 200 to whatever it does not know; its verdict is in another header.
        if header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/grpc")) {
            return Attempt::Refused(Failure { cause: Cause::Grpc, said: format!("{status}, in gRPC") });
        }
        let answer = read(response).await;
        let failure = Failure { cause: Cause::Status(status.as_u16()), said: status.to_string() };
        match (verdict, answer) {
            (Verdict::Accepted, Ok(answer)) => Attempt::Accepted(answer),
            // The collector has taken the spans, whatever became of its answer: sending again would double them.
            (Verdict::Accepted, Err(why)) => {
                tracing::debug!("the collector's answer could not be read: {why}");
                Attempt::Accepted(Vec::new())
            }
            (Verdict::Retry(least), _) => Attempt::Retry { least, failure },
            (Verdict::TooLarge, _) => Attempt::TooLarge,
            (Verdict::Refused, answer) => {
                let text = String::from_utf8_lossy(answer.as_deref().unwrap_or_default()).into_owned();
                tracing::debug!("the collector's answer: {}", self.shown(&text));
                Attempt::Refused(failure)
            }
        }
    }

    /// A partial success is final: what was rejected is lost.
    fn accepted(&self, spans: u64, answer: &[u8]) {
        if let Some(away) = self.trouble.accepted(Instant::now()) {
            let endpoint = without_secrets(&self.endpoint);
            tracing::info!(%endpoint, "the collector takes spans again, after {} s", away.as_secs());
        }
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
            self.remark(rejected, &partial.error_message, "the collector rejected some spans");
        } else if !partial.error_message.is_empty() {
            self.remark(0, &partial.error_message, "the collector took all spans, with a warning");
        }
    }

    fn remark(&self, spans: u64, why: &str, what: &str) {
        if let Some(suppressed) = self.remarks.allow() {
            let endpoint = without_secrets(&self.endpoint);
            tracing::warn!(spans, suppressed, %endpoint, "{what}: {}", self.shown(why));
        }
    }

    /// Says why spans were not taken, what becomes of them and what to do: at once, then ever more rarely.
    async fn fail(&self, spans: u64, failure: Failure, what: &str) {
        let Failure { mut cause, said } = failure;
        let Some(mut suppressed) = self.trouble.failed(cause, Instant::now()) else { return };
        if matches!(cause, Cause::Closed | Cause::Other | Cause::Status(400))
            && self.direct
            && let Some(known) = probe::ask(&self.endpoint).await
        {
            let Some(more) = self.trouble.failed(known, Instant::now()) else { return };
            (cause, suppressed) = (known, suppressed + more);
        }
        let endpoint = without_secrets(&self.endpoint);
        let advice = cause.advice(self.variable);
        let said = self.shown(&said);
        let proxy = if self.direct {
            ""
        } else {
            "; a proxy is configured (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY)"
        };
        let colon = if advice.is_empty() { "" } else { ": " };
        tracing::warn!(spans, suppressed, "{endpoint}{colon}{advice} ({said}{proxy}); {what}");
    }

    /// What others said, fit for the log.
    fn shown(&self, text: &str) -> String {
        log::printable(&self.secrets.redact(text)).chars().take(MAX_LOGGED_CHARS).collect()
    }
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

/// From 0 to 1: enough to keep agents from knocking in step. `RandomState` is seeded by the system.
fn random() -> f64 {
    use std::hash::BuildHasher;
    let bits = std::collections::hash_map::RandomState::new().hash_one(0);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
