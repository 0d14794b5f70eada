//! A readable waterfall on a terminal: one line per finished span, each trace a tree, drawn on one scale per block.
//!
//! Spans that end close together make a block. The drawing is pure ([`draw`]); here are the thread that writes, so that a
//! terminal that stands still holds up nobody else, and what a terminal knows: its width, its colours (`anstream` honours
//! `NO_COLOR` and strips styles where there is no terminal). Strings come from strangers: [`Row::new`]
//! disarms them.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::outputs::Stream;

pub mod draw;
mod row;
mod tree;

pub use row::Row;

/// Rows that may wait for the terminal.
const CHANNEL_ROWS: usize = 2048;
/// A block ends when no span has come for this long …
const QUIET: Duration = Duration::from_millis(250);
/// … or its first has waited for this long …
const LONGEST: Duration = Duration::from_millis(1_000);
/// … or it has so many.
const BLOCK_ROWS: usize = 200;
/// How long the end waits for the terminal.
const FINISH: Duration = Duration::from_secs(1);
/// Width where nothing says otherwise.
const DEFAULT_WIDTH: usize = 120;

/// The running waterfall.
pub struct Handle {
    rows: SyncSender<Row>,
    done: oneshot::Receiver<()>,
}

impl Handle {
    /// Starts the thread that draws.
    pub fn start(stream: Stream) -> io::Result<Self> {
        let (rows, receiver) = sync_channel(CHANNEL_ROWS);
        let (finished, done) = oneshot::channel();
        std::thread::Builder::new().name("strobe-waterfall".to_owned()).spawn(move || {
            let ended = match stream {
                Stream::Stdout => {
                    draw_all(&receiver, || width(io::stdout().as_raw_fd()), &mut anstream::stdout())
                }
                Stream::Stderr => {
                    draw_all(&receiver, || width(io::stderr().as_raw_fd()), &mut anstream::stderr())
                }
            };
            if let Err(error) = ended {
                tracing::warn!("the waterfall ends, its terminal is gone: {error}");
            }
            drop(finished);
        })?;
        Ok(Self { rows, done })
    }

    /// Hands over a row; false if the terminal is too slow, or gone.
    pub fn push(&self, row: Row) -> bool {
        self.rows.try_send(row).is_ok()
    }

    /// Draws what waits; gives up on a terminal that stands still.
    pub async fn finish(self) {
        drop(self.rows);
        if tokio::time::timeout(FINISH, self.done).await.is_err() {
            tracing::warn!("the terminal does not take the rest of the waterfall");
        }
    }
}

/// Draws blocks until the sender is gone.
fn draw_all(rows: &Receiver<Row>, width: impl Fn() -> usize, out: &mut impl Write) -> io::Result<()> {
    let mut layout = draw::Layout::default();
    while let Ok(first) = rows.recv() {
        let mut block = vec![first];
        collect(rows, &mut block);
        let text = layout.block(&mut block, width());
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

fn collect(rows: &Receiver<Row>, block: &mut Vec<Row>) {
    let end = Instant::now() + LONGEST;
    while block.len() < BLOCK_ROWS {
        let wait = QUIET.min(end.saturating_duration_since(Instant::now()));
        match rows.recv_timeout(wait) {
            Ok(row) => block.push(row),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Columns: `COLUMNS`, else what the terminal says.
fn width(fd: RawFd) -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.or_else(|| terminal_width(fd)).filter(|columns| *columns > 0).unwrap_or(DEFAULT_WIDTH)
}

fn terminal_width(fd: RawFd) -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize to the pointer, which is valid for writes and outlives the call.
    let result = unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0).then_some(usize::from(size.ws_col))
}
