//! Where records go: decoded, made into spans, handed to the exporters with their process's resource.

use std::{io::IsTerminal as _, sync::Arc, time::Duration};

use analyzer::Plan;
use anyhow::Context as _;
use tracing::{info, warn};

use crate::{
    config::Config,
    export::{Outputs, Pipeline, Stream},
    libraries::Sampling,
    records,
    resource::{AgentFacts, BinaryFacts, Facts, HostFacts, ProcessFacts, Resource},
    spans::{Counts, Settings, clock::Clock, net_http_server},
};

/// A traced process, as its spans name it.
pub struct Source {
    resource: Arc<Resource>,
}

impl Source {
    /// Its `service.name`.
    pub fn service(&self) -> &str {
        &self.resource.service_name
    }
}

/// Records in, spans out.
pub struct Sink {
    sampling: Sampling,
    settings: Settings,
    clock: Clock,
    counts: Counts,
    host: HostFacts,
    agent: AgentFacts,
    pipeline: Pipeline,
    lost: Lost,
    reported: Lost,
}

/// Records that became no span.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Lost {
    /// Of a process that is not known (any more).
    unknown_process: u64,
    /// Not of the form that this agent knows.
    undecodable: u64,
}

impl Sink {
    /// Starts the exporters that the configuration asks for; a terminal on `stream` gets the waterfall if it names none.
    /// `single_target`: the agent's own `OTEL_SERVICE_NAME` names the target.
    pub fn start(config: &Config, stream: Stream, single_target: bool) -> anyhow::Result<Self> {
        let is_terminal = match stream {
            Stream::Stdout => std::io::stdout().is_terminal(),
            Stream::Stderr => std::io::stderr().is_terminal(),
        };
        let outputs = Outputs::choose(config, stream, is_terminal);
        Ok(Self {
            sampling: Sampling { sampler: config.sampler, extract: config.extract },
            settings: config.spans.clone(),
            clock: Clock::measure().context("reading the clocks")?,
            counts: Counts::default(),
            host: HostFacts::read(),
            agent: AgentFacts {
                single_target,
                service_name: config.service_name.clone(),
                attributes: config.resource_attributes.clone(),
            },
            pipeline: Pipeline::start(config, outputs)?,
            lost: Lost::default(),
            reported: Lost::default(),
        })
    }

    /// What the programs decide sampling by.
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// Looks at a process and makes its resource.
    pub fn source(&self, pid: u32, plan: Option<&Plan>) -> Source {
        let main = plan.and_then(|plan| plan.modules.first());
        let binary = BinaryFacts {
            go_version: plan.and_then(|plan| plan.go_version.clone()),
            main_version: main.map(|module| module.version.clone()),
        };
        let process = ProcessFacts::read(pid);
        let (resource, warnings) =
            Resource::new(Facts { process: &process, binary: &binary, host: &self.host, agent: &self.agent });
        for warning in warnings {
            warn!(pid, "{warning}");
        }
        Source { resource: Arc::new(resource) }
    }

    /// One record from the ring.
    pub fn record<'a>(&mut self, bytes: &[u8], source_of: impl Fn(u32) -> Option<&'a Arc<Source>>) {
        let decoded = match records::decode(bytes) {
            Ok(decoded) => decoded,
            Err(error) => {
                if self.lost.undecodable == 0 {
                    warn!("a record that cannot be used: {error}");
                }
                self.lost.undecodable += 1;
                return;
            }
        };
        let Some(source) = source_of(decoded.record.tgid) else {
            self.lost.unknown_process += 1;
            return;
        };
        let span = net_http_server::span(&decoded, &self.clock, &self.settings, &mut self.counts);
        self.pipeline.push(&span, &source.resource);
    }

    /// Says what was lost since the last time; keeps the clock.
    pub fn report(&mut self) {
        self.clock.refresh();
        if self.lost != self.reported {
            warn!("records that became no span so far: {:?}", self.lost);
            self.reported = self.lost;
        }
    }

    /// Sends what is left, for at most `patience`, then says what became of everything.
    pub async fn finish(mut self, patience: Duration) {
        self.report();
        let Self { pipeline, counts, .. } = self;
        let stats = pipeline.shutdown(patience).await;
        info!("{} spans: {stats}", counts.built);
        if counts.routes_cut + counts.texts_cut + counts.texts_repaired > 0 {
            info!("cut or repaired: {counts:?}");
        }
    }
}
