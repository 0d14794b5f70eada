//! What drain costs without the kernel and without export: nanoseconds of CPU for each pair of records, and bytes for each
//! request that is open. CPU and not the clock, so that a busy machine says nearly the same.
//!
//! ```text
//! cargo run --release -p runtime --example joining
//! ```

use std::hint::black_box;
use std::sync::Arc;

use nix::time::{ClockId, clock_gettime};
use runtime::config::Config;
use runtime::export::wire::encode_span;
use runtime::libraries;
use runtime::resource::{AgentFacts, Facts, Resource};
use runtime::sink::{BEGUN_BYTES, Output, Sink};
use runtime::sources::Source;
use runtime::spans::Span;
use runtime_ebpf::http_server::records::{
    BEGAN_SLOT_COUNT, Began, ENDED_SLOT_COUNT, ENDED_SLOTS, Ended, HOW_FINISHED, KIND_BEGAN_WIRE, KIND_ENDED,
    PEER_BYTES,
};
use runtime_ebpf::libraries::NET_HTTP_SERVER;
use runtime_ebpf::record::{ABSENT, Head, PARENT_NONE};

/// Connections that have a request open at the same time.
const CONNECTIONS: u64 = 64;
/// Pairs in one measurement.
const PAIRS: u64 = 200_000;
/// Requests that are open for the memory's measurement.
const OPEN: u64 = 65_536;

/// Encodes spans as export does, and drops them; or drops them at once.
struct Away {
    encodes: bool,
}

impl Output for Away {
    fn push(&mut self, span: &Span<'_>, _: &Arc<Resource>) {
        if self.encodes {
            black_box(encode_span(span));
        }
        black_box(span);
    }
}

fn main() -> anyhow::Result<()> {
    for headers in [3, 15] {
        let text = request(headers);
        for encodes in [false, true] {
            let mut sink = sink(encodes)?;
            let mut best = f64::INFINITY;
            for _ in 0..5 {
                best = best.min(pairs(&mut sink, &text, headers)?);
            }
            let what = if encodes { "joined and encoded" } else { "joined" };
            println!("{headers} headers, {} bytes of text: {best:.0} ns per pair, {what}", text.len());
        }
    }
    let mut sink = sink(false)?;
    let text = request(15);
    let before = resident_bytes()?;
    for nth in 0..OPEN {
        sink.record(&began(nth, nth, &text, 15));
    }
    let after = resident_bytes()?;
    let counted = sink.counters().iter().find(|c| c.name == "joiners.held_bytes").map_or(0, |c| c.value);
    println!(
        "{OPEN} open: {} bytes each, {} by the joiner's own count",
        after.saturating_sub(before) / OPEN,
        counted / OPEN
    );
    Ok(())
}

/// The CPU time of one pair, in nanoseconds.
fn pairs(sink: &mut Sink<Away>, text: &[u8], headers: u32) -> anyhow::Result<f64> {
    let records: Vec<_> = (0..CONNECTIONS).map(|nth| (began(nth, nth, text, headers), ended(nth))).collect();
    let begin = cpu_ns()?;
    for _ in 0..PAIRS / CONNECTIONS {
        for (began, _) in &records {
            sink.record(began);
        }
        for (_, ended) in &records {
            sink.record(ended);
        }
    }
    Ok((cpu_ns()? - begin) as f64 / (PAIRS / CONNECTIONS * CONNECTIONS) as f64)
}

fn cpu_ns() -> anyhow::Result<i64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

fn sink(encodes: bool) -> anyhow::Result<Sink<Away>> {
    let (config, _) = Config::from_env(|_: &str| None);
    let mut sink = Sink::new(libraries::joiners(), &config, BEGUN_BYTES, Away { encodes })?;
    let (process, binary, host) = Default::default();
    let facts = Facts { process: &process, binary: &binary, host: &host, agent: &AgentFacts::default() };
    sink.know(42, 1, Arc::new(Source { pid: 42, resource: Arc::new(Resource::new(facts).0), network: None }));
    Ok(sink)
}

/// A request with so many headers beside `Host`.
fn request(headers: u32) -> Vec<u8> {
    let mut text = "GET /users/4711?verbose=1 HTTP/1.1\r\nHost: shop.example.com:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n".to_owned();
    for nth in 1..headers {
        text.push_str(&format!("X-Some-Header-{nth}: some value of it\r\n"));
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn head(kind: u16, nth: u64, len: usize) -> Head {
    Head {
        library: NET_HTTP_SERVER.code,
        kind,
        len: u32::try_from(len).unwrap_or(u32::MAX),
        tgid: 42,
        generation: 1,
        start_ns: nth,
        end_ns: nth + 50_000,
        trace_id: [7; 16],
        span_id: (nth + 1).to_ne_bytes(),
        parent_span_id: [0; 8],
        trace_flags: 1,
        parent: PARENT_NONE,
        reserved: [0; 6],
    }
}

fn began(nth: u64, goid: u64, text: &[u8], headers: u32) -> Vec<u8> {
    let mut peer = [0; PEER_BYTES];
    let address = b"192.168.100.100:45678";
    for (to, from) in peer.iter_mut().zip(address) {
        *to = *from;
    }
    let began = Began {
        head: head(KIND_BEGAN_WIRE, nth, size_of::<Began>() + text.len()),
        response: 0xc000_0000_0000 + nth * 512,
        goid,
        content_length: 0,
        header_count: headers,
        method_len: 3,
        uri_len: 21,
        text_len: u32::try_from(text.len()).unwrap_or(u32::MAX),
        peer_len: 21,
        tls: 0,
        proto_major: 1,
        proto_minor: 1,
        reserved: 0,
        peer,
        lens: [0; BEGAN_SLOT_COUNT],
    };
    [bytes_of(&began), text.to_vec()].concat()
}

fn ended(nth: u64) -> Vec<u8> {
    let pattern = b"GET /users/{id}";
    let mut slots = vec![0; ENDED_SLOTS.iter().sum()];
    slots.splice(..pattern.len(), pattern.iter().copied());
    let mut lens = [ABSENT; ENDED_SLOT_COUNT];
    lens[0] = 15;
    let ended = Ended {
        head: head(KIND_ENDED, nth, size_of::<Ended>() + slots.len()),
        response: 0xc000_0000_0000 + nth * 512,
        status: 200,
        how: HOW_FINISHED,
        reserved: [0; 3],
        lens,
    };
    [bytes_of(&ended), slots].concat()
}

fn bytes_of<T: runtime::records::Plain>(part: &T) -> Vec<u8> {
    // SAFETY: a Plain type is integers without padding, so each of its bytes is initialised.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(part).cast::<u8>(), size_of::<T>()) }.to_vec()
}

/// Resident memory of this process.
fn resident_bytes() -> anyhow::Result<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split(' ').nth(1).unwrap_or_default().parse::<u64>()?;
    Ok(pages * 4096)
}
