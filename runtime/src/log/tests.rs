use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::*;

/// Enough for a thread to get its turn on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn strings_lose_their_power_over_the_terminal() {
    for (text, want) in [
        ("/caf\u{e9} \u{4e16}", "/caf\u{e9} \u{4e16}"),
        ("a\x1b[31mb", "a\\u{1b}[31mb"),
        ("a\nb\r\t\x7f", "a\\nb\\r\\t\\u{7f}"),
        ("\u{9b}31m", "\\u{9b}31m"),
        ("a\u{202e}b", "a\\u{202e}b"),
        ("a\u{200b}b", "a\\u{200b}b"),
    ] {
        assert_eq!(printable(text), want);
    }
}

/// Where a test's lines go: they can be held up.
#[derive(Debug, Clone, Default)]
struct Out {
    text: Arc<Mutex<Vec<u8>>>,
    gate: Arc<Mutex<()>>,
    /// Somebody has come to the gate.
    reached: Arc<AtomicBool>,
}

impl Out {
    fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reached.store(true, Relaxed);
        drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
        self.text.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn subscriber(writer: &Writer) -> impl tracing::Subscriber {
    tracing_subscriber::fmt()
        .with_writer(writer.clone())
        .with_ansi(false)
        .with_target(false)
        .fmt_fields(format::debug_fn(field).delimited(" "))
        .finish()
}

#[test]
fn one_event_is_one_line_whatever_it_quotes() {
    let out = Out::default();
    let writer = Writer::start(out.clone()).expect("starts");
    let name = "shop\n2026-01-01T00:00:00Z  INFO all is well\x1b]0;x\x07";
    tracing::subscriber::with_default(subscriber(&writer), || {
        tracing::info!(pid = 7, file = name, shown = %name, debug = ?name, "tracing {name}");
    });
    writer.flush(PATIENCE);
    let text = out.text();
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text:?}");
    assert!(
        text.contains("tracing shop\\n2026-01-01T00:00:00Z  INFO all is well\\u{1b}]0;x\\u{7} pid=7"),
        "{text}"
    );
}

#[test]
fn nobody_waits_for_a_reader_and_what_is_lost_is_said() {
    let out = Out::default();
    let held = out.gate.lock().unwrap_or_else(PoisonError::into_inner);
    let writer = Writer::start(out.clone()).expect("starts");
    let begin = Instant::now();
    writer.line(b"first\n".to_vec());
    // From here on the thread waits with this line in its hands: a thread that only starts while the channel fills would take
    // one more, and say what was lost in two parts.
    while !out.reached.load(Relaxed) {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
    let begin = Instant::now();
    for number in 0..CHANNEL_LINES + 500 {
        writer.line(format!("{number}\n").into_bytes());
    }
    writer.flush(Duration::from_millis(50));
    assert!(begin.elapsed() < PATIENCE);
    let lost = writer.lost.load(Relaxed);
    assert_eq!(lost, 500);
    drop(held);
    // The channel is full still: whoever ends waits for the lines in it.
    writer.flush(PATIENCE);
    let text = out.text();
    assert!(text.contains(&format!("{lost} lines of this log are lost")), "{text}");
    assert!(text.ends_with("\n1023\n"), "{text}");
}
