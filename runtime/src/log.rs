//! The agent's own log, on stderr: it never holds anybody up, and nobody can write a line in its name.
//!
//! ```text
//!  tracing ──► one line, escaped ──► channel (bounded) ──► a thread ──► stderr
//! ```
//! A pipe that nobody reads stops the thread and nothing else: lines that find the channel full are counted, and their number
//! is said once there is room again. Messages quote strangers: a service's name, a path, a collector's answer. So everything
//! in a line is escaped where the line is made, wherever it comes from: one event is one line, and no escape sequence reaches
//! the terminal but our own colours.
//!
//! Not here: what a traced program writes, and spans ([`crate::export`]).

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use offsets::printable::is_printable;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::{MakeWriter, format};

use crate::config::LogLevel;

/// Lines that may wait.
const CHANNEL_LINES: usize = 1024;
/// How long the end waits for somebody who reads.
const FLUSH: Duration = Duration::from_secs(1);
/// How often the end looks whether a full channel has room.
const ROOM_POLL: Duration = Duration::from_millis(2);

/// The process's one log, once it has been started.
static LOG: OnceLock<Writer> = OnceLock::new();

/// Hands lines to the log's thread; never waits.
#[derive(Debug, Clone)]
pub struct Writer {
    lines: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Everything before this has been written when the sender is dropped.
    Flush(SyncSender<()>),
}

/// Writes what waits when it is dropped, for at most [`FLUSH`].
#[derive(Debug)]
#[must_use = "the last lines of the log are written when this is dropped"]
pub struct Guard(Writer);

/// Starts the log of this process on stderr, panics included. To be called once.
pub fn start(level: LogLevel) -> io::Result<Guard> {
    let colours =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let writer = Writer::start(File::from(io::stderr().as_fd().try_clone_to_owned()?))?;
    // Whoever started the log before goes on with theirs.
    let _ = LOG.set(writer.clone());
    std::panic::set_hook(Box::new(|panic| say(&panic.to_string())));
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(format!("warn,runtime={}", level.directive())))
        .with_writer(writer.clone())
        .with_ansi(colours)
        .with_target(false)
        .fmt_fields(format::debug_fn(field).delimited(" "))
        .init();
    Ok(Guard(writer))
}

/// One line without time and level, escaped; it never waits where the log has been started.
pub fn say(text: &str) {
    let line = format!("{}\n", printable(text));
    match LOG.get() {
        Some(log) => log.line(line.into_bytes()),
        // Nothing can be done about a stderr that is closed.
        None => drop(io::stderr().write_all(line.as_bytes())),
    }
}

/// Waits, for at most [`FLUSH`], until everything said before has been written: for whoever becomes another program, where no
/// [`Guard`] is dropped and the log's thread is gone.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.flush(FLUSH);
    }
}

/// The text without power over a terminal or a log: control characters, and those that reorder or hide text, are escaped.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // Writing to a String cannot fail.
    let _ = Escaped(&mut safe).write_str(text);
    safe
}

/// Escapes whatever is written through it.
struct Escaped<'w>(&'w mut dyn fmt::Write);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|character| !is_printable(character)) {
            let (plain, tail) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut characters = tail.chars();
            if let Some(character) = characters.next() {
                write!(self.0, "{}", character.escape_default())?;
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

/// The message as it is, every other field as `name=value`.
fn field(
    writer: &mut format::Writer<'_>,
    field: &tracing::field::Field,
    value: &dyn fmt::Debug,
) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{}=", field.name())?;
    }
    write!(Escaped(writer), "{value:?}")
}

impl Writer {
    /// Starts the thread that writes to `out`.
    fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, receiver) = sync_channel(CHANNEL_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&lost);
        let name = "strobe-log".to_owned();
        std::thread::Builder::new().name(name).spawn(move || write_all(&receiver, out, &count))?;
        Ok(Self { lines, lost })
    }

    fn line(&self, line: Vec<u8>) {
        if self.lines.try_send(Message::Line(line)).is_err() {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// Waits until what came before has been written, or nobody reads it for too long.
    fn flush(&self, patience: Duration) {
        let (written, wait) = sync_channel(0);
        let end = Instant::now() + patience;
        let mut message = Message::Flush(written);
        // A full channel is one that somebody may be reading: there the lines that wait are worth the most.
        while let Err(TrySendError::Full(back)) = self.lines.try_send(message) {
            if Instant::now() >= end {
                return;
            }
            std::thread::sleep(ROOM_POLL);
            message = back;
        }
        // Either the thread has dropped its end, or time is over.
        let _ = wait.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.flush(FLUSH);
    }
}

/// Writes lines until all senders are gone. A line that cannot be written (a full disk, a closed pipe) is lost, and counted.
fn write_all(messages: &Receiver<Message>, mut out: impl Write, lost: &AtomicU64) {
    let mut said = 0;
    while let Ok(message) = messages.recv() {
        let now = lost.load(Relaxed);
        if now > said {
            let text = format!("strobe: {} lines of this log are lost: nobody read them\n", now - said);
            if out.write_all(text.as_bytes()).is_ok() {
                said = now;
            }
        }
        match message {
            Message::Line(line) => {
                if out.write_all(&line).is_err() {
                    lost.fetch_add(1, Relaxed);
                }
            }
            Message::Flush(written) => drop(written),
        }
    }
}

impl<'w> MakeWriter<'w> for Writer {
    type Writer = Line<'w>;

    fn make_writer(&'w self) -> Line<'w> {
        Line { log: self, bytes: Vec::new() }
    }
}

/// One event's line, sent as a whole when it is dropped.
#[derive(Debug)]
pub struct Line<'w> {
    log: &'w Writer,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        self.log.line(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
#[path = "log/tests.rs"]
mod tests;
