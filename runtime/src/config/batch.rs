//! `OTEL_BSP_*`: the queue in front of an exporter.

use std::time::Duration;

use super::env::Env;

/// `OTEL_BSP_SCHEDULE_DELAY`: see [`Batch::delay`].
pub const BSP_SCHEDULE_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
/// `OTEL_BSP_EXPORT_TIMEOUT`: see [`Batch::export_timeout`].
pub const BSP_EXPORT_TIMEOUT: &str = "OTEL_BSP_EXPORT_TIMEOUT";
/// `OTEL_BSP_MAX_QUEUE_SIZE`: see [`Batch::queue_spans`].
pub const BSP_MAX_QUEUE_SIZE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
/// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`: see [`Batch::batch_spans`].
pub const BSP_MAX_EXPORT_BATCH_SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
/// `OTEL_BSP_MAX_CONCURRENT_EXPORTS`: see [`Batch::concurrent`]. Not in the specification; OpenTelemetry's Rust SDK has it.
pub const BSP_MAX_CONCURRENT_EXPORTS: &str = "OTEL_BSP_MAX_CONCURRENT_EXPORTS";

/// Default of [`Batch::delay`].
pub const DEFAULT_DELAY: Duration = Duration::from_millis(5_000);
/// Default of [`Batch::export_timeout`].
pub const DEFAULT_EXPORT_TIMEOUT: Duration = Duration::from_millis(30_000);
/// Default of [`Batch::queue_spans`]. The specification's 2048 are made for one process; an agent has those of a whole node,
/// and what one drain of the record ring brings at 20,000 spans a second alone would fill them.
pub const DEFAULT_QUEUE_SPANS: usize = 32_768;
/// Default of [`Batch::batch_spans`].
pub const DEFAULT_BATCH_SPANS: usize = 512;
/// Default of [`Batch::concurrent`]: at a round trip of 100 ms these carry 80,000 spans a second. Half as many were too few for
/// 20,000 in a test on a busy machine, where a round trip took 300 ms.
pub const DEFAULT_CONCURRENT: usize = 16;
/// The most of [`Batch::concurrent`].
const MAX_CONCURRENT: usize = 64;
/// The most that a queue may be asked to hold.
pub const MAX_QUEUE_SPANS: usize = 1 << 20;

/// The queue in front of an exporter, as the specification's batching span processor has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// A batch is sent this long after its first span, or when it is full.
    pub delay: Duration,
    /// An attempt to send may take this long; zero: no limit.
    pub export_timeout: Duration,
    /// Spans that may wait; more are dropped, and counted.
    pub queue_spans: usize,
    /// Spans per request.
    pub batch_spans: usize,
    /// Requests under way at a time, those included that wait for their next attempt.
    pub concurrent: usize,
}

impl Batch {
    /// `OTEL_BSP_*`.
    pub(super) fn from_env(env: &mut Env<'_>) -> Self {
        let positive = |spans: &usize| (1..=MAX_QUEUE_SPANS).contains(spans);
        let what = "a number of spans from 1 to 1048576";
        let queue_spans = env.number(BSP_MAX_QUEUE_SIZE, positive, what).unwrap_or(DEFAULT_QUEUE_SPANS);
        let some = |requests: &usize| (1..=MAX_CONCURRENT).contains(requests);
        let concurrent = env.number(BSP_MAX_CONCURRENT_EXPORTS, some, "a number of requests from 1 to 64");
        let batch_spans =
            env.number(BSP_MAX_EXPORT_BATCH_SIZE, positive, what).unwrap_or(DEFAULT_BATCH_SPANS);
        Self {
            delay: env.millis(BSP_SCHEDULE_DELAY).unwrap_or(DEFAULT_DELAY),
            export_timeout: env.millis(BSP_EXPORT_TIMEOUT).unwrap_or(DEFAULT_EXPORT_TIMEOUT),
            queue_spans,
            batch_spans: batch_spans.min(queue_spans),
            concurrent: concurrent.unwrap_or(DEFAULT_CONCURRENT),
        }
    }
}
