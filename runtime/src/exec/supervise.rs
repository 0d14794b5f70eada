//! The command runs: signals are passed on, it is traced, its status comes back.

use std::time::Duration;

use anyhow::Context as _;
use aya::maps::{MapData, RingBuf};
use nix::{
    errno::Errno,
    sys::{
        signalfd::SignalFd,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use tracing::{error, warn};

use super::{
    command,
    signals::{Got, Inbox, now},
};
use crate::{
    agent::{Agent, Ended},
    discover,
};

/// How long the last spans may take to leave once the command has ended: whoever waits for its status waits for this.
const GOOD_BYE: Duration = Duration::from_secs(2);

/// The command, as its parent sees it.
pub struct Child {
    pid: Pid,
    signals: AsyncFd<SignalFd>,
    reached: AsyncFd<RingBuf<MapData>>,
    inbox: Inbox,
}

impl Child {
    /// `signals` are strobe's own, `reached` tells of those that the command gets.
    pub fn new(pid: Pid, signals: SignalFd, reached: RingBuf<MapData>) -> anyhow::Result<Self> {
        let signals = discover::pollable(signals).context("polling signals")?;
        let reached = discover::pollable(reached).context("polling the command's signals")?;
        Ok(Self { pid, signals, reached, inbox: Inbox::default() })
    }

    /// Passes signals on until the command ends; gives its status.
    async fn ended(&mut self) -> anyhow::Result<u8> {
        let mut exits = signal(SignalKind::child()).context("watching SIGCHLD")?;
        loop {
            if let Some(status) = self.reap()? {
                return Ok(status);
            }
            self.pass_on()?;
            let wait = self.inbox.wait(now()?);
            let waited = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = exits.recv() => {}
                ready = self.signals.readable() => ready.context("polling signals")?.clear_ready(),
                ready = self.reached.readable() => ready.context("polling the command's signals")?.clear_ready(),
                () = waited => {}
            }
        }
    }

    /// Reads what both have got, then passes on what the command has not got.
    fn pass_on(&mut self) -> anyhow::Result<()> {
        while let Some(info) = self.signals.get_ref().read_signal().context("reading signals")? {
            self.inbox.strobe_got(Got::read(&info, now()?)?);
        }
        let own = std::process::id();
        let events = self.reached.get_mut();
        while let Some(bytes) = events.next() {
            // What strobe itself has passed on is no news.
            if let Some(got) = Got::decode(&bytes).filter(|got| got.sender != own) {
                self.inbox.command_got(got);
            }
        }
        for signal in self.inbox.due(now()?) {
            command::pass_on(self.pid, signal);
        }
        Ok(())
    }

    /// The command's status, once it has ended.
    fn reap(&self) -> anyhow::Result<Option<u8>> {
        // The first process of a PID namespace is the parent of all orphans in it. The agent's own children are of other
        // threads, which wait for them.
        let is_init = std::process::id() == 1;
        let (whom, whose) = match is_init {
            true => (None, WaitPidFlag::WNOHANG | WaitPidFlag::__WNOTHREAD),
            false => (Some(self.pid), WaitPidFlag::WNOHANG),
        };
        loop {
            match waitpid(whom, Some(whose)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => return Ok(None),
                Ok(status) if status.pid() == Some(self.pid) => return Ok(command::status_of(status)),
                Ok(_) => {}
                Err(error) => return Err(error).context("waiting for the command"),
            }
        }
    }

    /// Completes at the next signal.
    async fn signalled(&mut self) {
        while matches!(self.signals.get_ref().read_signal(), Ok(None)) {
            match self.signals.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                Err(_) => return,
            }
        }
    }

    /// Runs the agent beside the command; what is in flight when the command ends is drained and exported before its status is
    /// passed on, for a short while. Gives the number of processes that were traced, too.
    pub async fn supervise(&mut self, mut agent: Agent) -> anyhow::Result<(u8, u64)> {
        let (done, mut ended) = oneshot::channel();
        let status = {
            let mut wait = std::pin::pin!(async {
                let status = self.ended().await;
                // The agent may have gone first; then nobody listens, and that is fine.
                let _ = done.send(());
                status
            });
            let mut trace = std::pin::pin!(trace(&mut agent, &mut ended));
            tokio::select! {
                status = &mut wait => status,
                result = &mut trace => {
                    if let Err(error) = result {
                        error!("tracing has ended: {error:#}");
                    }
                    wait.await
                }
            }
        };
        let traced = agent.traced();
        // A signal that comes after the command's end ends the good-bye.
        if let Err(error) = agent.finish(GOOD_BYE, self.signalled()).await {
            error!("finishing: {error:#}");
        }
        Ok((status?, traced))
    }
}

async fn trace(agent: &mut Agent, ended: &mut oneshot::Receiver<()>) -> anyhow::Result<()> {
    loop {
        let stop = async {
            // The sender going away means the same as a message.
            let _ = (&mut *ended).await;
        };
        match agent.run(stop).await? {
            Ended::Untraceable(reason) => warn!("not traced: {reason}"),
            Ended::TargetGone | Ended::Stopped => return Ok(()),
        }
    }
}
