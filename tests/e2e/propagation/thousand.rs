//! A thousand requests of 40 headers each (`tests/apps/carries`, thousand.go), which are made once more here: what has arrived is what the
//! program sends, byte for byte, and between the request's first lines and its header the one line that names its span. A request that has a
//! context of its own goes without, and so does one whose first lines leave no room for it in the connection's buffer.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::http_client::{carried::by_path, found::text};
use strobe_tests::spans::{Received, hex};

/// As the program's source has it, as all below down to [`Request::numbered`].
pub const REQUESTS: usize = 1_000;
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SIGNS: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~";
const ALIKE: [&str; 5] = ["Traceparen", "Traceparents", "X-Traceparent", "Tracestate", "Trace-Parent"];
const OWN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// The size of a connection's buffer, and of the line.
const BUFFER: usize = 4096;
const LINE: usize = 70;

/// Numbers that look like those of chance, and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit as u64).unwrap_or_default()
    }

    fn text(&mut self, of: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(of[self.below(of.len())])).collect()
    }
}

/// A request as the program makes it.
struct Request {
    /// The lines that net/http writes before the header: the request's own, the host, the agent.
    first: [String; 3],
    /// All that follows.
    rest: String,
    has_own: bool,
}

impl Request {
    fn numbered(nth: usize, server: SocketAddr) -> Self {
        let mut numbers = Numbers(nth as u64);
        let mut header: Vec<(String, String)> = (0..38)
            .map(|i| {
                let length = 1 + numbers.below(24);
                let name = format!("X-{}-{i}", numbers.text(LETTERS, length));
                let length = numbers.below(160);
                (name, numbers.text(SIGNS, length))
            })
            .collect();
        let first = |agent: &str| {
            let line = format!("GET /thousand/{nth} HTTP/1.1\r\n");
            [line, format!("Host: {server}\r\n"), format!("User-Agent: {agent}\r\n")]
        };
        let mut agent = 1 + numbers.below(100);
        if nth % 5 == 3 {
            let before: usize = first("").iter().map(String::len).sum();
            agent = BUFFER - 2 * LINE - before + numbers.below(200);
        }
        let first = first(&numbers.text(LETTERS, agent));
        let has_own = nth % 5 == 4;
        let spelled = |letter: char| {
            if numbers.below(2) == 1 { letter.to_ascii_uppercase() } else { letter }
        };
        let name = if has_own {
            "traceparent".chars().map(spelled).collect()
        } else {
            ALIKE[nth / 5 % ALIKE.len()].to_owned()
        };
        header.push((name, OWN.to_owned()));
        // net/http sorts them.
        header.sort();
        let mut rest = String::new();
        for (name, value) in header {
            let _ = write!(rest, "{name}: {value}\r\n");
        }
        Self { first, rest: rest + "Accept-Encoding: gzip\r\n\r\n", has_own }
    }

    /// How much the buffer holds when the header is about to be written: each line is one write of a `bufio.Writer`.
    fn buffered(&self) -> usize {
        self.first.iter().fold(0, |held, line| match held + line.len() {
            all if all <= BUFFER => all,
            // Into an empty buffer nothing is copied that is larger than it.
            _ if held == 0 => 0,
            // What fills it is flushed; here no line is longer than what is left then.
            all => all - BUFFER,
        })
    }

    fn has_room(&self) -> bool {
        BUFFER - self.buffered() >= LINE
    }
}

/// How many of them are to carry a context of the agent's, and why the others are not.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    pub carrying: usize,
    pub own: usize,
    pub no_room: usize,
}

impl Due {
    /// Of the requests to that server.
    pub fn of(server: SocketAddr) -> Self {
        let mut due = Self::default();
        for request in (0..REQUESTS).map(|nth| Request::numbered(nth, server)) {
            match (request.has_own, request.has_room()) {
                (true, _) => due.own += 1,
                (false, false) => due.no_room += 1,
                (false, true) => due.carrying += 1,
            }
        }
        due
    }

    pub fn text(&self) -> String {
        let Self { carrying, own, no_room } = self;
        let share = 100.0 * *no_room as f64 / REQUESTS as f64;
        format!(
            "{REQUESTS} requests of 40 headers: {carrying} carry the context where it is written, {own} have their own, \
             {no_room} ({share:.1} %) have no room for it"
        )
    }
}

/// What is wrong with what has arrived at that server. `written`: probes may write.
pub fn wrong(server: SocketAddr, heads: Vec<Vec<u8>>, spans: &[Received], written: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let calls: HashMap<&str, &Received> = spans
        .iter()
        .filter(|span| span.span.kind() == SpanKind::Client)
        .filter_map(|span| {
            let url = text(span, "url.full")?;
            Some((url.get(url.find("/thousand/")?..)?, span))
        })
        .collect();
    if calls.len() != REQUESTS {
        wrong.push(format!("{} spans of {REQUESTS} requests", calls.len()));
    }
    let mut heads = by_path(heads);
    for nth in 0..REQUESTS {
        let path = format!("/thousand/{nth}");
        let request = Request::numbered(nth, server);
        let line = if written && !request.has_own && request.has_room() {
            calls.get(path.as_str()).map(|call| line(call)).unwrap_or_default()
        } else {
            String::new()
        };
        let due = request.first.concat() + &line + &request.rest;
        let came = heads.remove(&path).unwrap_or_default();
        if came != [due.as_bytes()] {
            let came: Vec<_> = came.iter().map(|head| String::from_utf8_lossy(head)).collect();
            wrong.push(format!("{path}: {came:?} is not {due:?}"));
        }
    }
    wrong.extend(heads.into_keys().map(|path| format!("nobody sends {path}")));
    wrong
}

/// The line that names a call's span.
fn line(call: &Received) -> String {
    format!("Traceparent: 00-{}-{}-01\r\n", hex(&call.span.trace_id), hex(&call.span.span_id))
}
