//! The agent: puts its threads together, and hears how it goes.
//!
//! ```text
//!  guard (thread) ── who a generation is ──► drain (thread) ── spans ──► export
//!     │ keeper (process): probes, leases        ▲ record ring
//!     └── news: traced, not traced, ended ──► [Agent] ──► `run` and `exec`
//! ```

use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use anyhow::Context as _;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{
    config::SwitchedOff,
    discover::Target,
    drain::Drain,
    export::Pipeline,
    guard::{Audience, Guard, News, Parts, Wish, state::Reason},
    libraries::Sampling,
    planning::Own,
    programs::Programs,
    records::Gone,
    resource::Totals,
    sink::Sink,
    sources::{Source, Sources},
};

/// What becomes of records.
pub struct WayOut {
    /// What the programs decide sampling by.
    pub sampling: Sampling,
    /// Libraries that are not traced.
    pub off: SwitchedOff,
    /// Who processes are.
    pub sources: Sources,
    /// Records in, spans out.
    pub sink: Sink<Pipeline>,
    /// What is planned beside the embedded catalog.
    pub own: Own,
}

/// Why the agent has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The target process is gone.
    TargetGone,
    /// The target cannot be traced, for this reason.
    Untraceable(Reason),
    /// The caller asked for it.
    Stopped,
}

/// A running agent.
pub struct Agent {
    target: Target,
    guard: Guard,
    drain: Arc<Drain<Pipeline>>,
    news: UnboundedReceiver<News>,
    traced: u64,
    left_out: Arc<Totals>,
}

impl Agent {
    /// Starts the threads; nothing is traced yet.
    pub fn new(target: Target, mut programs: Programs, way_out: WayOut) -> anyhow::Result<Self> {
        let WayOut { sampling, off, sources, mut sink, own } = way_out;
        let (wish, wishes) = mpsc::channel();
        sink.wishes(move |tgid, generation| {
            // guard may have ended: then nothing is attached any more.
            let _ = wish.send(Wish { tgid, generation });
        });
        let left_out = sources.left_out();
        let drain = Drain::start(Box::new(programs.records()?), sink);
        let drain = Arc::new(drain.context("starting the drain thread")?);
        let (tell, news) = unbounded_channel();
        let audience = Box::new(Listener(Arc::clone(&drain)));
        let parts = Parts { target: target.clone(), programs, sampling, off, sources, wishes, audience, own };
        let guard = Guard::start(parts, move |news| {
            // The agent may be ending: then nobody listens any more.
            let _ = tell.send(news);
        })?;
        Ok(Self { target, guard, drain, news, traced: 0, left_out })
    }

    /// Looks at the processes that run already.
    pub fn find_running(&mut self) -> anyhow::Result<()> {
        self.guard.find_running();
        Ok(())
    }

    /// Traces `pid`, which is about to execute `exe`, before it does: used by `strobe exec`.
    pub fn prepare(&mut self, pid: u32, exe: File, name: &str) -> anyhow::Result<()> {
        self.guard.prepare(pid, exe, PathBuf::from(name))
    }

    /// How many times the tracing of a process, or of what it executed next, has begun.
    pub fn traced(&self) -> u64 {
        self.traced
    }

    /// Runs until the target is gone (for a process id) or `stop` completes.
    pub async fn run(&mut self, stop: impl Future<Output = ()>) -> anyhow::Result<Ended> {
        let mut stop = std::pin::pin!(stop);
        loop {
            let news = tokio::select! {
                () = &mut stop => return Ok(Ended::Stopped),
                news = self.news.recv() => news.context("guard has ended; what it printed says why")?,
            };
            match news {
                News::Traced(_) => self.traced += 1,
                News::NotTraced { pid, reason } if self.target == Target::Pid(pid) => {
                    return Ok(Ended::Untraceable(reason));
                }
                News::Ended(pid) if self.target == Target::Pid(pid) => return Ok(Ended::TargetGone),
                News::NotTraced { .. } | News::Ended(_) => {}
                News::Failed(reason) => anyhow::bail!("{reason}"),
            }
        }
    }

    /// Takes all probes out, takes what is left in the ring, and exports it: for at most `patience`, and until `cancel` completes.
    pub async fn finish(self, patience: Duration, cancel: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self { guard, drain, left_out, .. } = self;
        let stopped = tokio::task::spawn_blocking(move || {
            let ended = guard.stop();
            let drain = Arc::into_inner(drain).context("somebody still listens to drain")?;
            let sink = drain.stop()?;
            ended.map(|()| sink)
        });
        let sink = stopped.await.context("waiting for guard and drain")??;
        let pipeline = sink.finish();
        let stats = pipeline.shutdown(patience, cancel).await;
        tracing::info!("spans: {stats}");
        if !left_out.is_empty() {
            tracing::info!("{left_out}");
        }
        Ok(())
    }
}

/// drain, as guard knows it.
struct Listener(Arc<Drain<Pipeline>>);

impl Audience for Listener {
    fn know(&self, tgid: u32, generation: u32, source: Arc<Source>) {
        self.0.know(tgid, generation, source);
    }

    fn forget(&self, tgid: u32, generation: u32) {
        self.0.forget(tgid, generation);
    }

    fn gave_way(&self, gone: Gone) {
        self.0.gave_way(gone);
    }
}
