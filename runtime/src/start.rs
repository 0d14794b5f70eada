//! What `strobe run` and `strobe exec` begin with: the log, what this machine allows, the programs, the exporters.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing::warn;

use crate::{
    agent::Agent,
    config::Config,
    discover::{self, Target, WatchError},
    export::Stream,
    features::{Facts, PidNamespace},
    programs::Programs,
    sink::Sink,
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
        Self { status: STATUS_FAILED, reason: format!("{error:#}") }
    }
}

/// Logs go to stderr from here on.
pub fn logging(config: &Config, warnings: &[String]) {
    let filter = tracing_subscriber::EnvFilter::new(format!("warn,runtime={}", config.log_level.directive()));
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
    for warning in warnings {
        warn!("{warning}");
    }
}

/// Loads the programs, or says what this machine lacks. `witness` is the process that strobe has to look at; none
/// stands for all of them.
pub fn programs(witness: Option<u32>) -> Result<Programs, Refusal> {
    let missing = |what: String| Refusal { status: STATUS_MISSING, reason: what };
    let facts = Facts::gather(witness)?;
    if let Some(what) = facts.missing() {
        return Err(missing(what.to_string()));
    }
    discover::raise_descriptor_limit()?;
    Programs::load(PidNamespace::default())
        .map_err(|error| missing(facts.missing_for_programs(&error).to_string()))
}

/// The agent with its exporters; nothing is traced yet. Needs a tokio runtime.
pub fn agent(target: Target, programs: Programs, config: &Config, stream: Stream) -> Result<Agent, Refusal> {
    let sink = Sink::start(config, stream, true)?;
    Agent::new(target, programs, sink).map_err(|error| Refusal {
        status: if error.is::<WatchError>() { STATUS_MISSING } else { STATUS_FAILED },
        reason: format!("{error:#}"),
    })
}

/// The event loop's runtime.
pub fn tokio_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the event loop")
}
