//! Finished spans leave the agent here: OTLP over HTTP, or a waterfall on a terminal, or both.
//!
//! ```text
//!  push ──► encode ──► queue (bounded) ──► batches ──► a few requests at a time, retried ──► collector
//!     └───► row ─────► channel (bounded) ──► terminal
//! ```
//! Both exporters have a thread of their own: neither a slow collector nor a terminal that stands still (Ctrl-S) holds up
//! anybody else, and nobody who works holds up a request.
//! [`Pipeline::push`] never waits: a span that finds its queue full is dropped and counted. A span is encoded as it is pushed,
//! so that what waits is one block of bytes and the record it borrowed from can go. Whatever becomes of a span is in
//! [`Stats`].
//!
//! Not here: what a span says, and when the agent ends.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::resource::Resource;
use crate::spans::Span;

pub mod batch;
pub mod cause;
mod client;
mod error;
mod limit;
mod otlp;
mod outputs;
mod probe;
pub mod retry;
pub mod secrets;
mod stats;
mod thread;
mod trouble;
pub mod waterfall;
pub mod wire;

pub use error::StartError;
pub use outputs::{Outputs, Stream};
pub use stats::Stats;

use batch::{Item, Scope};
use limit::Limiter;
use stats::Counters;

/// The running exporters.
pub struct Pipeline {
    counters: Arc<Counters>,
    otlp: Option<thread::Handle>,
    waterfall: Option<waterfall::Handle>,
    full: Limiter,
}

impl Pipeline {
    /// Starts what is asked for.
    pub fn start(config: &Config, outputs: Outputs) -> Result<Self, StartError> {
        let counters = Arc::new(Counters::default());
        let otlp = match outputs.otlp {
            true => {
                let settings = config.otlp.as_ref().map_err(Clone::clone)?;
                let handle = thread::Handle::start(settings, &config.batch, &counters)?;
                tracing::info!(endpoint = secrets::without_secrets(&settings.endpoint), "exporting by OTLP");
                Some(handle)
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
        let Some(otlp) = &self.otlp else { return };
        let scope = match &span.made {
            Some(made) => Scope::Program(Arc::clone(&made.scope)),
            None => Scope::Library(span.scope),
        };
        let item = Item { resource: Arc::clone(resource), scope, bytes: wire::encode_span(span).into() };
        // Before the queue has it: it may be exported, and counted so, at any moment after.
        self.counters.queued.add(1);
        if let Err(refused) = otlp.queue.push(item) {
            self.counters.queued.take_back();
            self.counters.queue_full.add(1);
            if let Some(suppressed) = self.full.allow() {
                let dropped = self.counters.queue_full.get();
                tracing::warn!(
                    dropped,
                    suppressed,
                    "the export queue is full ({refused}): spans are dropped"
                );
            }
        }
    }

    /// What became of the spans so far.
    pub fn stats(&self) -> Stats {
        self.counters.snapshot()
    }

    /// Sends what waits, for at most `deadline` or until `cancel` completes, then drops and counts the rest. Where the
    /// collector has been away already, it is waited for no longer than [`thread::SHORT_GOOD_BYE`].
    pub async fn shutdown(mut self, deadline: Duration, cancel: impl Future<Output = ()>) -> Stats {
        if let Some(otlp) = self.otlp.take() {
            otlp.finish(deadline, cancel, &self.counters).await;
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
