//! The agent's end: starts the child, asks it, and knows what it holds, so that nothing is forgotten when it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::message::{Probe, Reply, Request, SUBCOMMAND, UNANSWERED, Why};
use super::wire::{self, Received};
use crate::files::FileIdentity;

/// How long the child may take to start.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the keeper has to say of an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// All probes are there.
    Attached {
        /// Why there is no lease, if there is none.
        no_lease: Option<String>,
    },
    /// None is there.
    Refused {
        /// What the kernel said.
        reason: String,
        /// It may be otherwise in a moment.
        passing: bool,
    },
    /// None is there: the file has this content now.
    NotAsPlanned(FileIdentity),
    /// They are gone.
    Detached(Why),
}

/// The child and what it was asked for.
pub struct Keeper {
    child: Child,
    socket: OwnedFd,
    /// Attachments that were asked for and have not come to their end; true: its probes are there.
    attempts: BTreeMap<u64, bool>,
    /// Those of them that are to be taken out, while the socket has no room to say so.
    unsent: Unsent,
    starts: u32,
    /// Heartbeats since the keeper answered one.
    unanswered: u32,
}

impl Keeper {
    /// Starts the child.
    pub fn start() -> anyhow::Result<Self> {
        let (child, socket) = start()?;
        Ok(Self {
            child,
            socket,
            attempts: BTreeMap::new(),
            unsent: Unsent::default(),
            starts: 1,
            unanswered: 0,
        })
    }

    /// Readable when there is news.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Says that guard is there, each [`super::message::HEARTBEAT`]; ends a keeper that has not answered for too long.
    pub fn alive(&mut self) {
        self.unsent.send(self.socket.as_fd());
        // A child that is gone is seen by `news`; one that does not read does not answer either.
        let _ = wire::send(self.socket.as_fd(), &Request::Alive, &[]);
        self.unanswered += 1;
        if self.unanswered == UNANSWERED {
            tracing::warn!(
                "the keeper of the probes does not answer: it is killed, which takes the probes out"
            );
            if let Err(error) = self.child.kill() {
                tracing::error!("killing the keeper of the probes: {error}");
            }
        }
    }

    /// Asks for the probes of a file; they name `programs` by their places, which are loaded for `uprobe_multi` or not.
    pub fn attach(
        &mut self,
        attempt: u64,
        file: BorrowedFd<'_>,
        content: FileIdentity,
        probes: Vec<Probe>,
        programs: &[BorrowedFd<'_>],
        multi: bool,
    ) -> io::Result<()> {
        let descriptors: Vec<BorrowedFd<'_>> =
            std::iter::once(file).chain(programs.iter().copied()).collect();
        wire::send(self.socket.as_fd(), &Request::Attach { attempt, content, probes, multi }, &descriptors)?;
        self.attempts.insert(attempt, false);
        Ok(())
    }

    /// Asks to take them out again: now, or as soon as the keeper has read what it was asked before.
    pub fn detach(&mut self, attempt: u64) {
        self.unsent.0.insert(attempt);
        self.unsent.send(self.socket.as_fd());
    }

    /// All that the keeper has said. Where it has ended, its probes are gone with it: that is said of each of them, and another
    /// keeper is started.
    pub fn news(&mut self) -> anyhow::Result<Vec<(u64, News)>> {
        let mut news = Vec::new();
        loop {
            match wire::receive(self.socket.as_fd()).context("reading what the keeper says")? {
                Received::Message(reply, _) => news.extend(self.take(reply)),
                Received::Nothing => {
                    // What it has answered it has read, so that there is room.
                    self.unsent.send(self.socket.as_fd());
                    return Ok(news);
                }
                Received::Ended => {
                    news.extend(self.lost());
                    self.restart()?;
                    return Ok(news);
                }
            }
        }
    }

    fn take(&mut self, reply: Reply) -> Option<(u64, News)> {
        Some(match reply {
            Reply::Ready => return None,
            Reply::Alive => {
                self.unanswered = 0;
                return None;
            }
            Reply::Attached { attempt, no_lease } => {
                self.attempts.insert(attempt, true);
                (attempt, News::Attached { no_lease })
            }
            Reply::Refused { attempt, reason, passing } => {
                self.is_over(attempt);
                (attempt, News::Refused { reason, passing })
            }
            Reply::NotAsPlanned { attempt, content } => {
                self.is_over(attempt);
                (attempt, News::NotAsPlanned(content))
            }
            Reply::Detached { attempt, why } => {
                self.is_over(attempt);
                (attempt, News::Detached(why))
            }
        })
    }

    fn is_over(&mut self, attempt: u64) {
        self.attempts.remove(&attempt);
        self.unsent.0.remove(&attempt);
    }

    fn lost(&mut self) -> Vec<(u64, News)> {
        let gone = |(attempt, attached)| {
            let reason = "the keeper of the probes has ended; another is started".to_owned();
            let news = if attached {
                News::Detached(Why::KeeperGone)
            } else {
                News::Refused { reason, passing: true }
            };
            (attempt, news)
        };
        self.unsent = Unsent::default();
        std::mem::take(&mut self.attempts).into_iter().map(gone).collect()
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait().context("waiting for the keeper")?;
        tracing::warn!(
            "the keeper of the probes has ended ({status}): starting another, and attaching again"
        );
        (self.child, self.socket) = start()?;
        self.starts += 1;
        self.unanswered = 0;
        Ok(())
    }

    /// How many children there have been: each has a socket of its own.
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// Are there probes, or may there be soon?
    pub fn is_idle(&self) -> bool {
        self.attempts.is_empty()
    }

    /// Waits for news, for at most so long.
    pub fn wait(&self, limit: Duration) -> io::Result<()> {
        wait(self.socket.as_fd(), limit)
    }
}

/// Attachments to be taken out that the keeper has not been told of: its socket takes a few hundred messages. One that was
/// forgotten here would keep its probes for ever.
#[derive(Default)]
struct Unsent(BTreeSet<u64>);

impl Unsent {
    /// Sends as many as there is room for.
    fn send(&mut self, socket: BorrowedFd<'_>) {
        while let Some(&attempt) = self.0.first() {
            // Full: `alive` and `news` come back to it. Where the other end is gone, so are the probes, and `news` says so.
            if wire::send(socket, &Request::Detach { attempt }, &[]).is_err() {
                return;
            }
            self.0.remove(&attempt);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The end of the socket is what ends the child; so this end goes first.
        match socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC) {
            Ok((unused, _)) => drop(std::mem::replace(&mut self.socket, unused)),
            Err(_) => return,
        }
        let _ = self.child.wait();
    }
}

fn wait(socket: BorrowedFd<'_>, limit: Duration) -> io::Result<()> {
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(socket, PollFlags::POLLIN)], limit) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn start() -> anyhow::Result<(Child, OwnedFd)> {
    let (socket, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .context("a socket to the keeper of the probes")?;
    let child = Command::new("/proc/self/exe")
        .arg(SUBCOMMAND)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .context("starting the keeper of the probes")?;
    wait(socket.as_fd(), PATIENCE).context("waiting for the keeper")?;
    match wire::receive(socket.as_fd()).context("reading what the keeper says")? {
        Received::Message(Reply::Ready, _) => Ok((child, socket)),
        Received::Ended => bail!("the keeper of the probes ended at once; what it printed says why"),
        other => bail!("the keeper of the probes did not begin in {} s: {other:?}", PATIENCE.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_forgotten_while_the_keeper_does_not_read() {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .expect("a socket");
        let mut unsent = Unsent::default();
        let all: BTreeSet<u64> = (0..2_000).collect();
        let mut heard = BTreeSet::new();
        for attempt in &all {
            unsent.0.insert(*attempt);
            unsent.send(ours.as_fd());
        }
        assert!(unsent.0.len() > 100, "the socket takes {} messages", all.len() - unsent.0.len());
        while heard.len() < all.len() {
            match wire::receive(theirs.as_fd()).expect("a message") {
                Received::Message(Request::Detach { attempt }, _) => assert!(heard.insert(attempt)),
                Received::Nothing => unsent.send(ours.as_fd()),
                other => panic!("{other:?}"),
            }
        }
        assert!(heard == all && unsent.0.is_empty());
    }
}
