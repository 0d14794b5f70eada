//! The exporter's thread: a small event loop of its own, so that requests go on whatever the rest of the agent does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::batch::Queue;
use super::error::StartError;
use super::otlp::{self, Sender};
use super::secrets::without_secrets;
use super::stats::Counters;
use super::trouble::Trouble;
use crate::config::{Batch, Otlp};

/// How long the end waits for a collector that has been away already.
pub const SHORT_GOOD_BYE: Duration = Duration::from_secs(2);
/// After so long the log says what is waited for.
const SAID_AFTER: Duration = Duration::from_millis(500);
/// How often the end looks whether the collector is away.
const LOOK: Duration = Duration::from_millis(50);

/// The running thread.
pub(super) struct Handle {
    pub(super) queue: Arc<Queue>,
    trouble: Arc<Trouble>,
    endpoint: String,
    abort: oneshot::Sender<()>,
    done: oneshot::Receiver<()>,
}

impl Handle {
    pub(super) fn start(otlp: &Otlp, batch: &Batch, counters: &Arc<Counters>) -> Result<Self, StartError> {
        let (queue, trouble) = (Arc::new(Queue::new(batch)), Arc::new(Trouble::default()));
        let shared = (Arc::clone(&queue), Arc::clone(counters), Arc::clone(&trouble));
        let sender = Arc::new(Sender::new(otlp, batch, shared)?);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let (abort, aborted) = oneshot::channel();
        let (finished, done) = oneshot::channel();
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = otlp::run(sender) => {}
                    // A message and a handle that is gone mean the same.
                    _ = aborted => {}
                }
            });
            // Requests under way end here. A name that is being resolved is not waited for.
            runtime.shutdown_background();
            drop(finished);
        };
        let name = "strobe-export".to_owned();
        std::thread::Builder::new().name(name).spawn(work).map_err(StartError::Thread)?;
        Ok(Self { queue, trouble, endpoint: without_secrets(&otlp.endpoint), abort, done })
    }

    /// Lets what waits be sent, within limits; nothing is counted any more afterwards.
    pub(super) async fn finish(
        self,
        deadline: Duration,
        cancel: impl Future<Output = ()>,
        counters: &Counters,
    ) {
        let Self { queue, trouble, endpoint, abort, mut done } = self;
        queue.close();
        let begin = Instant::now();
        let mut cancel = std::pin::pin!(cancel);
        let mut look = tokio::time::interval(LOOK);
        let mut said = false;
        loop {
            tokio::select! {
                biased;
                // Ended or gone: either way there is nothing to wait for.
                _ = &mut done => return,
                () = &mut cancel => {
                    tracing::warn!("a signal ends the waiting: spans that were not sent are dropped");
                    break;
                }
                _ = look.tick() => {}
            }
            let away = trouble.is_away(Instant::now());
            let limit = if away { deadline.min(SHORT_GOOD_BYE) } else { deadline };
            if begin.elapsed() >= limit {
                break;
            }
            if !said && (away || begin.elapsed() >= SAID_AFTER) {
                said = true;
                tracing::warn!(
                    "waiting up to {} s for {endpoint} to take the last {} spans; a second signal ends that at once",
                    limit.as_secs_f32().ceil(),
                    counters.snapshot().waiting
                );
            }
        }
        // The thread has gone already if nobody listens.
        let _ = abort.send(());
        let _ = done.await;
    }
}
