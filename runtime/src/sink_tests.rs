use std::sync::Mutex;

use runtime_ebpf::libraries::NET_HTTP_SERVER;
use runtime_ebpf::record::Head;

use super::*;
use crate::config::Config;
use crate::records::tests::{bytes_of, some_head};

/// A joiner of records that are a head alone: kind 1 is kept, kind 2 becomes a span, any other is unknown.
#[derive(Default)]
struct Toy {
    kept: Vec<(u32, u32)>,
    shed: u64,
}

impl Joiner for Toy {
    fn record(&mut self, head: &Head, _: &[u8], cx: &mut SpanContext<'_>) -> Result<(), DecodeError> {
        match head.kind {
            1 => self.kept.push((head.tgid, head.generation)),
            2 => (cx.emit)(&span_of(head)),
            kind => return Err(DecodeError::UnknownKind(kind)),
        }
        Ok(())
    }

    fn waits(&self) -> bool {
        !self.kept.is_empty()
    }

    fn settle(&mut self, tgid: u32, generation: u32, _: bool, _: &mut SpanContext<'_>) {
        self.forget(tgid, generation);
    }

    fn forget(&mut self, tgid: u32, generation: u32) {
        self.kept.retain(|process| *process != (tgid, generation));
    }

    fn held_bytes(&self) -> usize {
        self.kept.len() * 100
    }

    fn shed(&mut self) {
        self.shed += self.kept.drain(..self.kept.len().div_ceil(16)).len() as u64;
    }

    fn counters(&self) -> Vec<Count> {
        vec![Count { name: "toy.lost", value: self.shed, is_loss: true }]
    }
}

fn span_of(head: &Head) -> Span<'static> {
    Span {
        scope: "toy",
        trace_id: head.trace_id,
        span_id: head.span_id,
        parent_span_id: None,
        flags: 0,
        trace_state: None,
        name: "toy".into(),
        kind: crate::spans::Kind::Server,
        start_unix_ns: 0,
        end_unix_ns: 0,
        attributes: Vec::new(),
        dropped_attributes: 0,
        events: Vec::new(),
        dropped_events: 0,
        links: Vec::new(),
        made: None,
        error: false,
        message: None,
    }
}

/// The services whose spans have come.
#[derive(Clone, Default)]
pub struct Taken(pub Arc<Mutex<Vec<String>>>);

impl Output for Taken {
    fn push(&mut self, _: &Span<'_>, resource: &Arc<Resource>) {
        self.0.lock().expect("no panic").push(resource.service_name.clone());
    }
}

impl Taken {
    pub fn services(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

/// The source of a process with this name.
pub fn source(name: &str) -> Arc<Source> {
    let (process, binary, host) = (Default::default(), Default::default(), Default::default());
    let agent = crate::resource::AgentFacts {
        single_target: true,
        service_name: Some(name.to_owned()),
        attributes: Vec::new(),
    };
    let facts = crate::resource::Facts { process: &process, binary: &binary, host: &host, agent: &agent };
    Arc::new(Source { pid: 17, resource: Arc::new(Resource::new(facts).0), network: Some(1) })
}

/// A toy library's record.
pub fn record(kind: u16, tgid: u32, generation: u32) -> Vec<u8> {
    let len = u32::try_from(size_of::<Head>()).expect("small");
    bytes_of(&Head { tgid, generation, len, ..some_head(NET_HTTP_SERVER.code, kind) })
}

/// A sink with the toy library, that keeps at most so much.
pub fn sink(begun_bytes: usize, output: Taken) -> Sink<Taken> {
    let (config, _) = Config::from_env(|_: &str| None);
    let toy: Box<dyn Joiner> = Box::new(Toy::default());
    Sink::new(vec![(NET_HTTP_SERVER.code, toy)], &config, begun_bytes, output).expect("a clock")
}

fn counted(sink: &Sink<Taken>, name: &str) -> u64 {
    sink.counters().iter().find(|count| count.name == name).map_or(0, |count| count.value)
}

#[test]
fn spans_carry_their_own_processs_name() {
    let taken = Taken::default();
    let mut sink = sink(BEGUN_BYTES, taken.clone());
    sink.know(1, 1, source("a"));
    sink.know(1, 2, source("b"));
    for (tgid, generation) in [(1, 2), (1, 1), (1, 3), (2, 1)] {
        sink.record(&record(2, tgid, generation));
    }
    assert_eq!(taken.services(), ["b", "a"]);
    assert_eq!(counted(&sink, "records.lost.unknown_process"), 2);
    sink.forget(1, 1);
    sink.record(&record(2, 1, 1));
    assert_eq!((taken.services().len(), counted(&sink, "records.lost.unknown_process")), (2, 3));
}

#[test]
fn what_cannot_be_used_is_counted() {
    let mut sink = sink(BEGUN_BYTES, Taken::default());
    sink.know(1, 1, source("a"));
    sink.record(&[]);
    sink.record(&record(2, 1, 1)[..50]);
    sink.record(&record(9, 1, 1));
    let mut other_library = record(2, 1, 1);
    other_library[0] = 99;
    sink.record(&other_library);
    assert_eq!(counted(&sink, "records.lost.undecodable"), 4);
    assert_eq!(sink.undecodable.len(), 3);
}

#[test]
fn what_is_kept_has_a_bound() {
    let mut sink = sink(10_000, Taken::default());
    sink.know(1, 1, source("a"));
    for _ in 0..1_000 {
        sink.record(&record(1, 1, 1));
        assert!(sink.held_bytes <= 10_000);
    }
    assert!(counted(&sink, "toy.lost") >= 900);
    sink.forget(1, 1);
    assert_eq!(sink.held_bytes, 0);
}

#[test]
fn what_spans_lack_is_said_when_it_grows_and_is_no_loss() {
    let mut sink = sink(BEGUN_BYTES, Taken::default());
    sink.counts.texts_cut = 2;
    sink.counts.trace_states_void = 1;
    sink.counts.texts_repaired = 1;
    let news = |sink: &Sink<Taken>| {
        let now = sink.counters();
        (sink.grown(&now, is_lacking), sink.grown(&now, |count| count.is_loss))
    };
    let said = "spans.texts_cut +2, spans.trace_states_void +1";
    assert_eq!(news(&sink), (Some(said.to_owned()), None));
    sink.report();
    assert_eq!(news(&sink), (None, None));
}

/// Else what was ended long ago would count against what is kept, and be given up for it.
#[test]
fn what_has_waited_long_enough_is_not_kept_any_more() {
    let mut sink = sink(10_000, Taken::default());
    sink.know(1, 1, source("a"));
    for _ in 0..1_000 {
        sink.record(&record(1, 1, 1));
        sink.settle();
        assert_eq!(sink.held_bytes, 0);
    }
    assert_eq!(counted(&sink, "toy.lost"), 0);
}

#[test]
fn every_loss_is_documented_by_its_name() {
    let text = include_str!("../../docs/strobe.md");
    let kernel = runtime_ebpf::libraries::ALL.iter().flat_map(|library| library.counters);
    let kernel = runtime_ebpf::counters::ALL.iter().chain(kernel);
    let mut losses: Vec<&str> = kernel.filter(|count| count.is_loss).map(|count| count.name).collect();
    let joiners = crate::libraries::joiners();
    losses.extend(
        joiners.iter().flat_map(|(_, joiner)| joiner.counters()).filter(|c| c.is_loss).map(|c| c.name),
    );
    losses.extend(["records.lost.unknown_process", "records.lost.undecodable"]);
    let missing: Vec<&str> = losses.into_iter().filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/strobe.md says nothing of {missing:?}");
}
