//! The inside of drain: records in, spans out, each with its process's resource. No thread, no ring, no waiting.
//!
//! A record's process is its tgid and generation. Whoever configures a process in the kernel makes it known here before, and
//! has it forgotten when its records have been taken. A record of a process that is not known makes no span: nobody can say
//! whose it is.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use tracing::{debug, info, warn};

use crate::config::Config;
use crate::export::Pipeline;
use crate::libraries::join::{Count, Joiner, SpanContext};
use crate::records::{self, DecodeError, Gone};
use crate::resource::Resource;
use crate::sources::Source;
use crate::spans::{Counts, Settings, Span, clock::Clock, trace_state::TraceStates};

/// What all joiners may keep together, unless the configuration says otherwise.
pub const BEGUN_BYTES: usize = 64 << 20;

/// Does it count what spans lack, or have in part? The span is there, so it is no loss, and whoever looks for the attribute wants to
/// know.
fn is_lacking(count: &Count) -> bool {
    matches!(count.name, "spans.routes_cut" | "spans.texts_cut" | "spans.trace_states_void")
}

/// Where finished spans go.
pub trait Output: Send {
    /// Takes a span; never waits.
    fn push(&mut self, span: &Span<'_>, resource: &Arc<Resource>);
}

impl Output for Pipeline {
    fn push(&mut self, span: &Span<'_>, resource: &Arc<Resource>) {
        Pipeline::push(self, span, resource);
    }
}

/// Records in, spans out.
pub struct Sink<O> {
    joiners: HashMap<u16, Box<dyn Joiner>>,
    sources: HashMap<(u32, u32), Arc<Source>>,
    settings: Settings,
    clock: Clock,
    output: O,
    /// Hears of processes whose spans lack a route.
    wish: Box<dyn Fn(u32, u32) + Send>,
    counts: Counts,
    trace_states: TraceStates,
    /// Records of a process that is not known (any more).
    unknown_process: u64,
    /// Records that are not of a form that this agent knows, by reason.
    undecodable: HashMap<&'static str, u64>,
    held_bytes: usize,
    begun_bytes: usize,
    reported: HashMap<&'static str, u64>,
}

impl<O: Output> Sink<O> {
    /// A sink for these libraries' records; all of them together keep no more than `begun_bytes` of begun operations.
    pub fn new(
        joiners: Vec<(u16, Box<dyn Joiner>)>,
        config: &Config,
        begun_bytes: usize,
        output: O,
    ) -> anyhow::Result<Self> {
        let clock = Clock::measure().context("reading the clocks")?;
        Ok(Self {
            joiners: joiners.into_iter().collect(),
            sources: HashMap::new(),
            settings: config.spans.clone(),
            clock,
            output,
            wish: Box::new(|_, _| {}),
            counts: Counts::default(),
            trace_states: TraceStates::default(),
            unknown_process: 0,
            undecodable: HashMap::new(),
            held_bytes: 0,
            begun_bytes,
            reported: HashMap::new(),
        })
    }

    /// From now on `wish` is told, by tgid and generation, whose spans lack a route that a router could tell.
    pub fn wishes(&mut self, wish: impl Fn(u32, u32) + Send + 'static) {
        self.wish = Box::new(wish);
    }

    /// From now on records of this process have this source; again: it is looked at anew.
    pub fn know(&mut self, tgid: u32, generation: u32, source: Arc<Source>) {
        self.sources.insert((tgid, generation), source);
    }

    /// Whether records of this process have a source.
    pub fn knows(&self, tgid: u32, generation: u32) -> bool {
        self.sources.contains_key(&(tgid, generation))
    }

    /// All records of this process have been taken: its open operations are counted, and it is not known any more.
    pub fn forget(&mut self, tgid: u32, generation: u32) {
        self.settle_process(tgid, generation, true);
        for joiner in self.joiners.values_mut() {
            joiner.forget(tgid, generation);
        }
        self.held_bytes = self.joiners.values().map(|joiner| joiner.held_bytes()).sum();
        self.sources.remove(&(tgid, generation));
    }

    /// What a process never ends is gone in the kernel.
    pub fn gave_way(&mut self, gone: Gone) {
        self.joiners.values_mut().for_each(|joiner| joiner.gave_way(gone));
        self.held_bytes = self.joiners.values().map(|joiner| joiner.held_bytes()).sum();
    }

    /// Ends what has waited long enough for a record that did not come. To be called now and then.
    pub fn settle(&mut self) {
        if self.joiners.values().any(|joiner| joiner.waits()) {
            let known: Vec<(u32, u32)> = self.sources.keys().copied().collect();
            known.into_iter().for_each(|(tgid, generation)| self.settle_process(tgid, generation, false));
            self.held_bytes = self.joiners.values().map(|joiner| joiner.held_bytes()).sum();
        }
    }

    fn settle_process(&mut self, tgid: u32, generation: u32, is_over: bool) {
        let Some(source) = self.sources.get(&(tgid, generation)) else { return };
        let output = &mut self.output;
        let mut cx = SpanContext {
            clock: &self.clock,
            settings: &self.settings,
            counts: &mut self.counts,
            trace_states: &mut self.trace_states,
            emit: &mut |span| output.push(span, &source.resource),
            wish: &mut || (self.wish)(tgid, generation),
            tell: &mut |what| warn!("pid {} ({}): {what}", source.pid, source.service()),
            network: source.network,
        };
        for joiner in self.joiners.values_mut().filter(|joiner| joiner.waits()) {
            joiner.settle(tgid, generation, is_over, &mut cx);
        }
    }

    /// One record from the ring.
    pub fn record(&mut self, bytes: &[u8]) {
        if let Err(error) = self.take(bytes) {
            let count = self.undecodable.entry(error.reason()).or_default();
            *count += 1;
            if *count == 1 {
                warn!("a record that cannot be used: {error}");
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let (head, bytes) = records::head(bytes)?;
        let joiner = self.joiners.get_mut(&head.library).ok_or(DecodeError::UnknownLibrary(head.library))?;
        let Some(source) = self.sources.get(&(head.tgid, head.generation)) else {
            self.unknown_process += 1;
            return Ok(());
        };
        let output = &mut self.output;
        let mut cx = SpanContext {
            clock: &self.clock,
            settings: &self.settings,
            counts: &mut self.counts,
            trace_states: &mut self.trace_states,
            emit: &mut |span| output.push(span, &source.resource),
            wish: &mut || (self.wish)(head.tgid, head.generation),
            tell: &mut |what| warn!("pid {} ({}): {what}", source.pid, source.service()),
            network: source.network,
        };
        let before = joiner.held_bytes();
        let taken = joiner.record(&head, bytes, &mut cx);
        self.held_bytes = (self.held_bytes + joiner.held_bytes()).saturating_sub(before);
        if self.held_bytes > self.begun_bytes {
            self.shed();
        }
        taken
    }

    /// The library that keeps most gives up its oldest part.
    fn shed(&mut self) {
        if let Some(largest) = self.joiners.values_mut().max_by_key(|joiner| joiner.held_bytes()) {
            largest.shed();
        }
        self.held_bytes = self.joiners.values().map(|joiner| joiner.held_bytes()).sum();
    }

    /// Everything that was counted.
    pub fn counters(&self) -> Vec<Count> {
        let loss = |name, value| Count { name, value, is_loss: true };
        let other = |name, value| Count { name, value, is_loss: false };
        let mut all = vec![
            loss("records.lost.unknown_process", self.unknown_process),
            loss("records.lost.undecodable", self.undecodable.values().sum()),
            other("spans.built", self.counts.built),
            other("spans.routes_cut", self.counts.routes_cut),
            other("spans.texts_cut", self.counts.texts_cut),
            other("spans.texts_repaired", self.counts.texts_repaired),
            other("spans.trace_states_void", self.counts.trace_states_void),
            other("joiners.held_bytes", self.held_bytes as u64),
        ];
        // Joiners of libraries of a kind count the same things.
        for count in self.joiners.values().flat_map(|joiner| joiner.counters()) {
            match all.iter_mut().find(|known| known.name == count.name) {
                Some(known) => known.value += count.value,
                None => all.push(count),
            }
        }
        all
    }

    /// Says what was lost since the last time, and what spans lack; keeps the clock.
    pub fn report(&mut self) {
        self.clock.refresh();
        let now = self.counters();
        if let Some(news) = self.grown(&now, |count| count.is_loss) {
            warn!("{news}");
        }
        if let Some(news) = self.grown(&now, is_lacking) {
            info!("attributes that are left out of spans, or in part: {news}");
        }
        debug!("records and spans: {now:?}");
        self.reported = now.into_iter().map(|count| (count.name, count.value)).collect();
    }

    /// Those of the counters that have grown since the last report, and by how much.
    fn grown(&self, now: &[Count], is_it: impl Fn(&Count) -> bool) -> Option<String> {
        let news: Vec<String> = now
            .iter()
            .filter(|count| is_it(count))
            .filter_map(|count| {
                let more = count.value.saturating_sub(self.reported.get(count.name).copied().unwrap_or(0));
                (more > 0).then(|| format!("{} +{more}", count.name))
            })
            .collect();
        (!news.is_empty()).then(|| news.join(", "))
    }

    /// Says what was lost and what was changed; gives the way out back, which may still have something to send.
    pub fn finish(mut self) -> O {
        let tgids: Vec<(u32, u32)> = self.sources.keys().copied().collect();
        for (tgid, generation) in tgids {
            self.forget(tgid, generation);
        }
        self.report();
        let counts = self.counts;
        info!("{} spans were built", counts.built);
        if counts.routes_cut + counts.texts_cut + counts.texts_repaired + counts.trace_states_void > 0 {
            info!(
                "{} routes left out, {} strings cut, {} repaired, {} tracestate lists left out",
                counts.routes_cut, counts.texts_cut, counts.texts_repaired, counts.trace_states_void
            );
        }
        self.output
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
pub(crate) mod tests;
