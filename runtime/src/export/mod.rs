//! Finished spans leave the agent here: OTLP over HTTP, or a waterfall on a terminal, or both.
//!
//! ```text
//!  push ──► encode ──► queue (bounded) ──► batches ──► one request at a time, retried ──► collector
//!     └───► row ─────► channel (bounded) ──► a thread of its own ──► terminal
//! ```
//! [`Pipeline::push`] never waits: a span that finds its queue full is dropped and counted. A span is encoded as it is pushed,
//! so that what waits is one block of bytes and the record it borrowed from can go. A terminal may stand still (Ctrl-S),
//! hence the thread. Whatever becomes of a span is in [`Stats`].
//!
//! Not here: what a span says, and when the agent ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::config::{Config, Exporter, OtlpError};
use crate::resource::Resource;
use crate::spans::Span;

pub mod batch;
mod limit;
pub mod otlp;
pub mod retry;
mod stats;
pub mod waterfall;
pub mod wire;

pub use stats::Stats;

use batch::{Item, Queue};
use limit::Limiter;
use stats::Counters;

/// Why exporting cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration asks for what the exporter cannot do.
    #[error(transparent)]
    Config(#[from] OtlpError),
    /// A certificate or key that cannot be used.
    #[error("{variable}: {}: {why}", path.display())]
    Pem {
        /// The variable that names the file.
        variable: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The HTTP client could not be set up.
    #[error("cannot set up the OTLP client: {0}")]
    Client(String),
    /// The waterfall's thread could not be started.
    #[error("cannot start a thread for the waterfall: {0}")]
    Thread(#[source] std::io::Error),
}

/// A standard stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error: under `exec`, standard output belongs to the program.
    Stderr,
}

/// Where spans go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outputs {
    /// To an OTLP endpoint.
    pub otlp: bool,
    /// As a waterfall.
    pub waterfall: Option<Stream>,
}

impl Outputs {
    /// What the configuration asks for; where it names no exporter, a waterfall if `stream` is a terminal.
    pub fn choose(config: &Config, stream: Stream, is_terminal: bool) -> Self {
        if !config.exporter_configured && is_terminal {
            return Self { otlp: false, waterfall: Some(stream) };
        }
        Self {
            otlp: config.exporters.contains(&Exporter::Otlp),
            waterfall: config.exporters.contains(&Exporter::Console).then_some(stream),
        }
    }
}

/// The running exporters.
pub struct Pipeline {
    counters: Arc<Counters>,
    otlp: Option<(Arc<Queue>, JoinHandle<()>)>,
    waterfall: Option<waterfall::Handle>,
    full: Limiter,
}

impl Pipeline {
    /// Starts what is asked for, on the current tokio runtime.
    pub fn start(config: &Config, outputs: Outputs) -> Result<Self, StartError> {
        let counters = Arc::new(Counters::default());
        let otlp = match outputs.otlp {
            true => {
                let settings = config.otlp.as_ref().map_err(Clone::clone)?;
                let sender = otlp::Sender::new(settings, &config.batch, Arc::clone(&counters))?;
                let queue = Arc::new(Queue::new(&config.batch));
                tracing::info!(endpoint = %otlp::without_secrets(&settings.endpoint), "exporting by OTLP");
                Some((Arc::clone(&queue), tokio::spawn(otlp::run(queue, sender))))
            }
            false => None,
        };
        let waterfall =
            outputs.waterfall.map(waterfall::Handle::start).transpose().map_err(StartError::Thread)?;
        Ok(Self { counters, otlp, waterfall, full: Limiter::default() })
    }

    /// Hands over a span; never waits.
    pub fn push(&self, span: &Span<'_>, resource: &Arc<Resource>) {
        if let Some(waterfall) = &self.waterfall {
            let shown = waterfall.push(waterfall::Row::new(span, &resource.service_name));
            self.counters.count_shown(shown);
        }
        let Some((queue, _)) = &self.otlp else { return };
        let item =
            Item { resource: Arc::clone(resource), scope: span.scope, bytes: wire::encode_span(span).into() };
        if queue.push(item) {
            self.counters.queued.add(1);
        } else {
            self.counters.queue_full.add(1);
            if let Some(suppressed) = self.full.allow() {
                let (capacity, dropped) = (queue.capacity(), self.counters.queue_full.get());
                tracing::warn!(capacity, dropped, suppressed, "the export queue is full: spans are dropped");
            }
        }
    }

    /// What became of the spans so far.
    pub fn stats(&self) -> Stats {
        self.counters.snapshot()
    }

    /// Sends what waits, for at most `deadline`, then drops and counts the rest.
    pub async fn shutdown(mut self, deadline: Duration) -> Stats {
        if let Some((queue, mut worker)) = self.otlp.take() {
            queue.close();
            let ended = match tokio::time::timeout(deadline, &mut worker).await {
                Ok(ended) => ended,
                Err(_) => {
                    worker.abort();
                    // An aborted task has ended once it has been awaited: nothing is counted twice.
                    worker.await
                }
            };
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!("the export task has panicked: {error}");
            }
            self.counters.abandon();
        }
        if let Some(waterfall) = self.waterfall.take() {
            waterfall.finish().await;
        }
        let stats = self.counters.snapshot();
        if stats.dropped() > 0 {
            tracing::warn!("spans were dropped: {stats}");
        }
        stats
    }
}

#[cfg(test)]
mod tests;
