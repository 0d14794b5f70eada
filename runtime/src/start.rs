//! What `strobe run` and `strobe exec` begin with: the log, what this machine allows, the programs, the exporters.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing::warn;

use crate::{
    agent::{Agent, WayOut},
    causes,
    config::Config,
    discover::{self, Target, WatchError},
    export::{Outputs, Pipeline, Stream},
    features::{Facts, Missing, trials},
    libraries::{self, Sampling},
    log,
    planning::Own,
    programs::{LoadOptions, Programs},
    sink::Sink,
    sources::Sources,
};

/// Nothing could be traced.
pub const STATUS_FAILED: u8 = 1;
/// A privilege or kernel feature is missing.
pub const STATUS_MISSING: u8 = 3;

/// Why tracing cannot begin, with the exit status of `strobe run`.
#[derive(Debug)]
pub struct Refusal {
    /// The exit status.
    pub status: u8,
    /// One line.
    pub reason: String,
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self { status: STATUS_FAILED, reason: with_limit(&error) }
    }
}

/// Logs go to stderr from here on. Whoever gets the guard keeps it until the end: the last lines are written when it goes.
pub fn logging(config: &Config, warnings: &[String]) -> anyhow::Result<log::Guard> {
    let guard = log::start(config.log_level).context("starting the log's thread")?;
    for warning in warnings {
        warn!("{warning}");
    }
    Ok(guard)
}

/// Loads the programs, or says what this machine lacks. `witness` is the process that strobe has to look at; none
/// stands for all of them.
pub fn programs(witness: Option<u32>, config: &Config) -> Result<Programs, Refusal> {
    let missing = |what: String| Refusal { status: STATUS_MISSING, reason: what };
    let facts = Facts::gather(witness)?;
    if let Some(what) = facts.missing() {
        return Err(missing(what.to_string()));
    }
    discover::raise_descriptor_limit()?;
    let options = LoadOptions {
        in_flight_entries: config.capacity.in_flight_entries,
        ring_bytes: config.capacity.ring_bytes,
        carries: config.writes_no_contexts().is_none() && trials::writing_probes().unwrap_or(false),
    };
    Programs::load(&options).map_err(|error| match facts.missing_for_programs(&error) {
        Missing::Limit(reason) => Refusal { status: STATUS_FAILED, reason },
        other => missing(other.to_string()),
    })
}

/// The agent with its exporters; nothing is traced yet. Needs a tokio runtime.
pub fn agent(
    target: Target,
    programs: Programs,
    config: &Config,
    own: Own,
    stream: Stream,
) -> Result<Agent, Refusal> {
    let way_out = way_out(&target, config, own, stream)?;
    Agent::new(target, programs, way_out).map_err(|error| Refusal {
        status: if error.is::<WatchError>() { STATUS_MISSING } else { STATUS_FAILED },
        reason: with_limit(&error),
    })
}

/// An error with its causes, and the limit that is behind it if one is.
fn with_limit(error: &anyhow::Error) -> String {
    let limit = causes::errno(error.as_ref()).and_then(causes::limit);
    limit.map_or_else(|| format!("{error:#}"), |limit| format!("{error:#}: {limit}"))
}

/// Starts the exporters that the configuration asks for; a terminal on `stream` gets the waterfall if it names none.
fn way_out(target: &Target, config: &Config, own: Own, stream: Stream) -> anyhow::Result<WayOut> {
    let is_terminal = match stream {
        Stream::Stdout => std::io::stdout().is_terminal(),
        Stream::Stderr => std::io::stderr().is_terminal(),
    };
    let pipeline = Pipeline::start(config, Outputs::choose(config, stream, is_terminal))?;
    let off = config
        .switched_off
        .clone()
        // What cannot be established is not there.
        .with_telling(trials::writing_probes().unwrap_or(false))
        .with_correlation(config.propagation.correlates())
        .without_contexts(config.writes_no_contexts());
    let sources = Sources::new(config, target);
    if let Some(warning) = sources.unused_name() {
        warn!("{warning}");
    }
    Ok(WayOut {
        sampling: Sampling {
            sampler: config.sampler,
            extract: config.extract,
            correlate: config.propagation.correlates(),
            carry: off.no_contexts().is_none(),
            fields_only: config.fields_only,
            forwarded: config.spans.forwarded,
        },
        off,
        sources,
        sink: Sink::new(libraries::joiners(), config, config.capacity.joiner_bytes, pipeline)?,
        own,
    })
}

/// The event loop's runtime.
pub fn tokio_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the event loop")
}
