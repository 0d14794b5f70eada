//! What the `OTEL_*` environment variables ask for, as plain values.
//!
//! [`Config::from_env`] is pure: it gets a function that looks a variable up, and returns the configuration with warnings for
//! the log. The specification's general rules hold throughout: an empty variable is an unset one; a value that cannot be
//! used is warned about and ignored. Two things are errors instead, kept until the exporter that needs them starts
//! ([`Config::otlp`]): a protocol that is not spoken here and an endpoint that is no URL. Ignoring those would send the
//! spans elsewhere than asked. docs/configuration.md lists every variable.
//!
//! Not here: command-line options, and the variables of the traced processes ([`crate::resource`]).

use std::collections::HashMap;
use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use runtime_ebpf::sampler::{ROOT_OFF, ROOT_ON, ROOT_RATIO, Sampler};

use crate::spans::Settings;

mod capacity;
mod otlp;

pub use capacity::{
    BEGUN_BYTES, Capacity, DEFAULT_BEGUN_BYTES, DEFAULT_IN_FLIGHT, DEFAULT_RING_BYTES, MAX_IN_FLIGHT,
    RING_BYTES,
};
pub use otlp::{Otlp, OtlpError};

/// `STROBE_FIELDS_ONLY`: see [`Config::fields_only`].
pub const FIELDS_ONLY: &str = "STROBE_FIELDS_ONLY";
/// `OTEL_SDK_DISABLED`: `true` traces nothing.
pub const SDK_DISABLED: &str = "OTEL_SDK_DISABLED";
/// `OTEL_CONFIG_FILE`: not supported, warned about.
pub const CONFIG_FILE: &str = "OTEL_CONFIG_FILE";
/// `OTEL_SERVICE_NAME`: the service's name.
pub const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
/// `OTEL_RESOURCE_ATTRIBUTES`: `key=value` pairs, percent-encoded.
pub const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// `OTEL_LOG_LEVEL`: how much the agent logs, [`LogLevel`]; default `info`.
pub const LOG_LEVEL: &str = "OTEL_LOG_LEVEL";
/// `OTEL_TRACES_EXPORTER`: a list of `otlp`, `console`, `none`; default `otlp`.
pub const TRACES_EXPORTER: &str = "OTEL_TRACES_EXPORTER";
/// `OTEL_TRACES_SAMPLER`: default `parentbased_always_on`.
pub const TRACES_SAMPLER: &str = "OTEL_TRACES_SAMPLER";
/// `OTEL_TRACES_SAMPLER_ARG`: the ratio for `traceidratio`; default 1.
pub const TRACES_SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
/// `OTEL_PROPAGATORS`: default `tracecontext,baggage`.
pub const PROPAGATORS: &str = "OTEL_PROPAGATORS";
/// `OTEL_BSP_SCHEDULE_DELAY`: see [`Batch::delay`].
pub const BSP_SCHEDULE_DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
/// `OTEL_BSP_EXPORT_TIMEOUT`: see [`Batch::export_timeout`].
pub const BSP_EXPORT_TIMEOUT: &str = "OTEL_BSP_EXPORT_TIMEOUT";
/// `OTEL_BSP_MAX_QUEUE_SIZE`: see [`Batch::queue_spans`].
pub const BSP_MAX_QUEUE_SIZE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
/// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`: see [`Batch::batch_spans`].
pub const BSP_MAX_EXPORT_BATCH_SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
/// `OTEL_BSP_MAX_CONCURRENT_EXPORTS`: see [`Batch::concurrent`]. Not in the specification; OpenTelemetry's Rust SDK has it.
pub const BSP_MAX_CONCURRENT_EXPORTS: &str = "OTEL_BSP_MAX_CONCURRENT_EXPORTS";
/// `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`: attributes per span; falls back to the next; default 128.
pub const SPAN_ATTRIBUTE_COUNT_LIMIT: &str = "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT";
/// `OTEL_ATTRIBUTE_COUNT_LIMIT`.
pub const ATTRIBUTE_COUNT_LIMIT: &str = "OTEL_ATTRIBUTE_COUNT_LIMIT";
/// `OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT`: characters per string value; falls back to the next; default none.
pub const SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT: &str = "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT";
/// `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`.
pub const ATTRIBUTE_VALUE_LENGTH_LIMIT: &str = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT";
/// `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`: a list that replaces the known methods.
pub const HTTP_KNOWN_METHODS: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
/// `STROBE_SENSITIVE_QUERY_PARAMETERS`: a list that replaces the query keys whose values are redacted; `none`: none is.
/// OpenTelemetry has this in configuration files alone (`sensitive_query_parameters`).
pub const SENSITIVE_QUERY_PARAMETERS: &str = "STROBE_SENSITIVE_QUERY_PARAMETERS";

/// Default of [`Batch::delay`].
pub const DEFAULT_DELAY: Duration = Duration::from_millis(5_000);
/// Default of [`Batch::export_timeout`].
pub const DEFAULT_EXPORT_TIMEOUT: Duration = Duration::from_millis(30_000);
/// Default of [`Batch::queue_spans`]. The specification's 2048 are made for one process; an agent has those of a whole node,
/// and what one drain of the record ring brings at 20,000 spans a second alone would fill them.
pub const DEFAULT_QUEUE_SPANS: usize = 32_768;
/// Default of [`Batch::batch_spans`].
pub const DEFAULT_BATCH_SPANS: usize = 512;
/// Default of [`Batch::concurrent`]: at a round trip of 100 ms these carry 80,000 spans a second. Half as many were too few for
/// 20,000 in a test on a busy machine, where a round trip took 300 ms.
pub const DEFAULT_CONCURRENT: usize = 16;
/// The most of [`Batch::concurrent`].
const MAX_CONCURRENT: usize = 64;
/// The most that a queue may be asked to hold.
pub const MAX_QUEUE_SPANS: usize = 1 << 20;

/// How much the agent logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Errors.
    Error,
    /// And warnings.
    Warn,
    /// And what happens: the default.
    Info,
    /// And details.
    Debug,
    /// And everything.
    Trace,
}

impl LogLevel {
    /// As `tracing_subscriber`'s filters spell it.
    pub fn directive(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Where spans go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exporter {
    /// OTLP over HTTP.
    Otlp,
    /// The waterfall.
    Console,
}

/// The queue in front of an exporter, as the specification's batching span processor has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// A batch is sent this long after its first span, or when it is full.
    pub delay: Duration,
    /// An attempt to send may take this long; zero: no limit.
    pub export_timeout: Duration,
    /// Spans that may wait; more are dropped, and counted.
    pub queue_spans: usize,
    /// Spans per request.
    pub batch_spans: usize,
    /// Requests under way at a time, those included that wait for their next attempt.
    pub concurrent: usize,
}

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `OTEL_SDK_DISABLED`.
    pub disabled: bool,
    /// `OTEL_SERVICE_NAME` of the agent: names the target where there is only one.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES` of the agent, for every target.
    pub resource_attributes: Vec<(String, String)>,
    /// `OTEL_LOG_LEVEL`.
    pub log_level: LogLevel,
    /// `OTEL_TRACES_EXPORTER`; empty for `none`.
    pub exporters: Vec<Exporter>,
    /// Whether an exporter or an endpoint was named: if not, a terminal gets the waterfall.
    pub exporter_configured: bool,
    /// `OTEL_TRACES_SAMPLER`.
    pub sampler: Sampler,
    /// Whether incoming `traceparent` headers are read (`OTEL_PROPAGATORS` has `tracecontext`).
    pub extract: bool,
    /// `STROBE_FIELDS_ONLY`: requests are taken field by field, and their text never leaves the target's memory.
    pub fields_only: bool,
    /// `OTEL_BSP_*`.
    pub batch: Batch,
    /// Limits, known methods and sensitive query keys.
    pub spans: Settings,
    /// `STROBE_*`: sizes of what holds requests under way.
    pub capacity: Capacity,
    /// `OTEL_EXPORTER_OTLP_*`: an error only where the exporter cannot do what was asked.
    pub otlp: Result<Otlp, OtlpError>,
}

/// Looks variables up and collects warnings.
pub(crate) struct Env<'a> {
    get: &'a dyn Fn(&str) -> Option<OsString>,
    pub(crate) warnings: Vec<String>,
}

impl Env<'_> {
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match (self.get)(name)?.into_string() {
            Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Err(_) => {
                self.warn(name, "is not UTF-8");
                None
            }
        }
    }

    pub(crate) fn warn(&mut self, name: &str, why: &str) {
        self.warnings.push(format!("{name} {why}; it is ignored"));
    }

    fn number<N: FromStr>(&mut self, name: &str, valid: impl Fn(&N) -> bool, what: &str) -> Option<N> {
        let text = self.text(name)?;
        let number = text.parse().ok().filter(valid);
        if number.is_none() {
            self.warn(name, &format!("is {text:?}, not {what}"));
        }
        number
    }

    pub(crate) fn millis(&mut self, name: &str) -> Option<Duration> {
        self.number(name, |_: &u32| true, "a number of milliseconds")
            .map(|ms| Duration::from_millis(u64::from(ms)))
    }

    fn list(&mut self, name: &str) -> Option<Vec<String>> {
        let text = self.text(name)?;
        let items: Vec<String> =
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect();
        (!items.is_empty()).then_some(items)
    }
}

impl Config {
    /// Reads the configuration; the second half are warnings for the log.
    pub fn from_env(get: impl Fn(&str) -> Option<OsString>) -> (Self, Vec<String>) {
        let mut env = Env { get: &get, warnings: Vec::new() };
        if env.text(CONFIG_FILE).is_some() {
            env.warn(CONFIG_FILE, "is not supported (the other variables are used)");
        }
        let (exporters, exporter_named) = exporters(&mut env);
        let config = Self {
            disabled: flag(&mut env, SDK_DISABLED),
            service_name: env.text(SERVICE_NAME),
            resource_attributes: resource_attributes(&mut env),
            log_level: log_level(&mut env),
            exporters,
            exporter_configured: exporter_named || otlp::endpoint_is_set(&mut env),
            sampler: sampler(&mut env),
            extract: extract(&mut env),
            fields_only: flag(&mut env, FIELDS_ONLY),
            batch: batch(&mut env),
            spans: span_settings(&mut env),
            capacity: Capacity::from_env(&mut env),
            otlp: Otlp::from_env(&mut env),
        };
        (config, env.warnings)
    }

    /// [`Config::from_env`] with this process's environment.
    pub fn from_process_env() -> (Self, Vec<String>) {
        Self::from_env(|name| std::env::var_os(name))
    }
}

fn flag(env: &mut Env<'_>, name: &str) -> bool {
    let Some(text) = env.text(name) else { return false };
    if text.eq_ignore_ascii_case("true") {
        return true;
    }
    if !text.eq_ignore_ascii_case("false") {
        env.warn(name, &format!("is {text:?}, neither true nor false"));
    }
    false
}

fn log_level(env: &mut Env<'_>) -> LogLevel {
    let Some(text) = env.text(LOG_LEVEL) else { return LogLevel::Info };
    match text.to_ascii_lowercase().as_str() {
        "none" | "off" => LogLevel::Off,
        "error" | "fatal" => LogLevel::Error,
        "warn" | "warning" => LogLevel::Warn,
        "info" => LogLevel::Info,
        "debug" => LogLevel::Debug,
        "trace" | "all" => LogLevel::Trace,
        _ => {
            env.warn(LOG_LEVEL, &format!("is {text:?}, not one of none, error, warn, info, debug, trace"));
            LogLevel::Info
        }
    }
}

/// The exporters, and whether the variable named them.
fn exporters(env: &mut Env<'_>) -> (Vec<Exporter>, bool) {
    let Some(names) = env.list(TRACES_EXPORTER) else { return (vec![Exporter::Otlp], false) };
    let mut exporters = Vec::new();
    let mut none = false;
    for name in names {
        let exporter = match name.to_ascii_lowercase().as_str() {
            "otlp" => Exporter::Otlp,
            "console" => Exporter::Console,
            "none" => {
                none = true;
                continue;
            }
            _ => {
                env.warn(
                    TRACES_EXPORTER,
                    &format!("names {name:?}, not one of otlp, console, none: that one"),
                );
                continue;
            }
        };
        if !exporters.contains(&exporter) {
            exporters.push(exporter);
        }
    }
    match (exporters.is_empty(), none) {
        (true, true) => (exporters, true),
        (true, false) => (vec![Exporter::Otlp], false),
        (false, _) => (exporters, true),
    }
}

fn sampler(env: &mut Env<'_>) -> Sampler {
    let on = Sampler { root: ROOT_ON, parent_based: 1, bound: 0 };
    let Some(name) = env.text(TRACES_SAMPLER) else { return on };
    let name = name.to_ascii_lowercase();
    let (root, parent_based) = match name.strip_prefix("parentbased_") {
        Some(root) => (root, 1),
        None => (name.as_str(), 0),
    };
    match root {
        "always_on" => Sampler { root: ROOT_ON, parent_based, bound: 0 },
        "always_off" => Sampler { root: ROOT_OFF, parent_based, bound: 0 },
        "traceidratio" => {
            let valid = |ratio: &f64| (0.0..=1.0).contains(ratio);
            let ratio = env.number(TRACES_SAMPLER_ARG, valid, "a number from 0 to 1").unwrap_or(1.0);
            ratio_sampler(ratio, parent_based)
        }
        _ => {
            env.warn(TRACES_SAMPLER, &format!("is {name:?}, which strobe does not have"));
            on
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 < ratio < 1, so the product fits"
)]
fn ratio_sampler(ratio: f64, parent_based: u32) -> Sampler {
    if ratio >= 1.0 {
        return Sampler { root: ROOT_ON, parent_based, bound: 0 };
    }
    let bound = (ratio * (1u64 << 63) as f64) as u64;
    Sampler { root: ROOT_RATIO, parent_based, bound }
}

fn extract(env: &mut Env<'_>) -> bool {
    let Some(names) = env.list(PROPAGATORS) else { return true };
    let mut extract = false;
    for name in names {
        match name.to_ascii_lowercase().as_str() {
            "tracecontext" => extract = true,
            "baggage" | "none" => {}
            _ => env.warn(PROPAGATORS, &format!("names {name:?}, which strobe does not have: that one")),
        }
    }
    extract
}

fn batch(env: &mut Env<'_>) -> Batch {
    let positive = |spans: &usize| (1..=MAX_QUEUE_SPANS).contains(spans);
    let what = "a number of spans from 1 to 1048576";
    let queue_spans = env.number(BSP_MAX_QUEUE_SIZE, positive, what).unwrap_or(DEFAULT_QUEUE_SPANS);
    let some = |requests: &usize| (1..=MAX_CONCURRENT).contains(requests);
    let concurrent = env.number(BSP_MAX_CONCURRENT_EXPORTS, some, "a number of requests from 1 to 64");
    let batch_spans = env.number(BSP_MAX_EXPORT_BATCH_SIZE, positive, what).unwrap_or(DEFAULT_BATCH_SPANS);
    Batch {
        delay: env.millis(BSP_SCHEDULE_DELAY).unwrap_or(DEFAULT_DELAY),
        export_timeout: env.millis(BSP_EXPORT_TIMEOUT).unwrap_or(DEFAULT_EXPORT_TIMEOUT),
        queue_spans,
        batch_spans: batch_spans.min(queue_spans),
        concurrent: concurrent.unwrap_or(DEFAULT_CONCURRENT),
    }
}

fn span_settings(env: &mut Env<'_>) -> Settings {
    let mut limit = |special: &str, general: &str| {
        let what = "a number";
        let special = env.number(special, |_: &usize| true, what);
        special.or_else(|| env.number(general, |_: &usize| true, what))
    };
    let count = limit(SPAN_ATTRIBUTE_COUNT_LIMIT, ATTRIBUTE_COUNT_LIMIT);
    let length = limit(SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT, ATTRIBUTE_VALUE_LENGTH_LIMIT);
    let defaults = Settings::default();
    let sensitive = env.list(SENSITIVE_QUERY_PARAMETERS).map(|keys| match keys.as_slice() {
        [none] if none.eq_ignore_ascii_case("none") => Vec::new(),
        _ => keys,
    });
    Settings {
        known_methods: env.list(HTTP_KNOWN_METHODS).unwrap_or(defaults.known_methods),
        value_length_limit: length.or(defaults.value_length_limit),
        attribute_count_limit: count.unwrap_or(defaults.attribute_count_limit),
        sensitive_query_keys: sensitive.unwrap_or(defaults.sensitive_query_keys),
    }
}

fn resource_attributes(env: &mut Env<'_>) -> Vec<(String, String)> {
    let Some(text) = env.text(RESOURCE_ATTRIBUTES) else { return Vec::new() };
    parse_pairs(&text).unwrap_or_else(|why| {
        env.warn(RESOURCE_ATTRIBUTES, &format!("cannot be read ({why})"));
        Vec::new()
    })
}

/// Parses `key=value,key=value` with percent-encoded values: all of it or nothing. The text may be a stranger's: time and
/// memory grow with its length alone.
pub(crate) fn parse_pairs(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or("a pair without `=`")?;
        let (key, value) = (decode(key)?, decode(value)?);
        if key.is_empty() {
            return Err("an empty key");
        }
        match places.get(&key).and_then(|place| pairs.get_mut(*place)) {
            Some((_, old)) => *old = value,
            None => {
                places.insert(key.clone(), pairs.len());
                pairs.push((key, value));
            }
        }
    }
    Ok(pairs)
}

fn decode(text: &str) -> Result<String, &'static str> {
    let bytes = crate::spans::text::percent_decode(text.trim().as_bytes()).ok_or("a broken %-escape")?;
    String::from_utf8(bytes).map_err(|_| "an escape that is not UTF-8")
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
