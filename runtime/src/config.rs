//! What the `OTEL_*` environment variables ask for, as plain values.
//!
//! [`Config::from_env`] is pure: it gets a function that looks a variable up, and returns the configuration with warnings for
//! the log. The specification's general rules hold throughout: an empty variable is an unset one; a value that cannot be
//! used is warned about and ignored. Two things are errors instead, kept until the exporter that needs them starts
//! ([`Config::otlp`]): a protocol that is not spoken here and an endpoint that is no URL. Ignoring those would send the
//! spans elsewhere than asked. docs/configuration.md lists every variable.
//!
//! Not here: command-line options, and the variables of the traced processes ([`crate::resource`]).

use std::ffi::OsString;

use runtime_ebpf::sampler::{ROOT_OFF, ROOT_ON, ROOT_RATIO, Sampler};

use crate::spans::Settings;

mod batch;
mod capacity;
mod env;
mod instrumentations;
mod otlp;
mod pairs;
mod propagation;

pub use batch::{
    BSP_EXPORT_TIMEOUT, BSP_MAX_CONCURRENT_EXPORTS, BSP_MAX_EXPORT_BATCH_SIZE, BSP_MAX_QUEUE_SIZE,
    BSP_SCHEDULE_DELAY, Batch, DEFAULT_BATCH_SPANS, DEFAULT_CONCURRENT, DEFAULT_DELAY,
    DEFAULT_EXPORT_TIMEOUT, DEFAULT_QUEUE_SPANS, MAX_QUEUE_SPANS,
};
pub use capacity::{
    BEGUN_BYTES, Capacity, DEFAULT_BEGUN_BYTES, DEFAULT_IN_FLIGHT, DEFAULT_RING_BYTES, MAX_IN_FLIGHT,
    RING_BYTES,
};
pub use instrumentations::{INSTRUMENTATION_ENABLED, SwitchedOff, WRITE};
pub use otlp::{Otlp, OtlpError};
pub(crate) use pairs::parse_pairs;
pub use propagation::{PROPAGATION, Propagation};

use env::Env;

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
/// `STROBE_FORWARDED_HEADERS`: `false` believes nothing that `Forwarded` and `X-Forwarded-*` say; default `true`.
pub const FORWARDED_HEADERS: &str = "STROBE_FORWARDED_HEADERS";
/// `OTEL_GO_AUTO_INCLUDE_DB_STATEMENT`: `true` gives spans the text of statements, literals left out; the name is that of OpenTelemetry's agent
/// for Go.
pub const INCLUDE_DB_STATEMENT: &str = "OTEL_GO_AUTO_INCLUDE_DB_STATEMENT";

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

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `OTEL_SDK_DISABLED`.
    pub disabled: bool,
    /// Libraries that are not traced.
    pub switched_off: SwitchedOff,
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
    /// `STROBE_PROPAGATION`: by which carriers contexts go on.
    pub propagation: Propagation,
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

impl Config {
    /// Reads the configuration; the second half are warnings for the log.
    pub fn from_env(get: impl Fn(&str) -> Option<OsString>) -> (Self, Vec<String>) {
        let mut env = Env::new(&get);
        if env.text(CONFIG_FILE).is_some() {
            env.warn(CONFIG_FILE, "is not supported (the other variables are used)");
        }
        let (exporters, exporter_named) = exporters(&mut env);
        let config = Self {
            disabled: env.flag(SDK_DISABLED),
            switched_off: SwitchedOff::from_env(&mut env),
            service_name: env.text(SERVICE_NAME),
            resource_attributes: resource_attributes(&mut env),
            log_level: log_level(&mut env),
            exporters,
            exporter_configured: exporter_named || otlp::endpoint_is_set(&mut env),
            sampler: sampler(&mut env),
            extract: extract(&mut env),
            propagation: Propagation::from_env(&mut env),
            fields_only: env.flag(FIELDS_ONLY),
            batch: Batch::from_env(&mut env),
            spans: span_settings(&mut env),
            capacity: Capacity::from_env(&mut env),
            otlp: Otlp::from_env(&mut env),
        };
        (config, env.warnings)
    }

    /// Why nothing at all is traced, where that is asked for.
    pub fn traces_nothing(&self) -> Option<String> {
        if self.disabled {
            return Some(format!("{SDK_DISABLED} is true"));
        }
        let variables = self.switched_off.everything()?;
        Some(format!("every library is switched off ({})", variables.join(", ")))
    }

    /// Why no trace context is to be written into requests, if that is asked for.
    pub fn writes_no_contexts(&self) -> Option<String> {
        if !self.extract {
            return Some(format!("{PROPAGATORS} does not name tracecontext"));
        }
        let word = self.propagation.word();
        (!self.propagation.writes()).then(|| format!("{PROPAGATION} is {word}"))
    }

    /// [`Config::from_env`] with this process's environment.
    pub fn from_process_env() -> (Self, Vec<String>) {
        let (config, mut warnings) = Self::from_env(|name| std::env::var_os(name));
        warnings.extend(instrumentations::unknown(std::env::vars_os().map(|(name, _)| name)));
        (config, warnings)
    }
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

fn span_settings(env: &mut Env<'_>) -> Settings {
    let mut limit = |special: &str, general: &str| {
        let what = "a number";
        let special = env.number(special, |_: &usize| true, what);
        special.or_else(|| env.number(general, |_: &usize| true, what))
    };
    let count = limit(SPAN_ATTRIBUTE_COUNT_LIMIT, ATTRIBUTE_COUNT_LIMIT);
    let length = limit(SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT, ATTRIBUTE_VALUE_LENGTH_LIMIT);
    let defaults = Settings::default();
    let forwarded = env.switch(FORWARDED_HEADERS).unwrap_or(defaults.forwarded);
    let sensitive = env.list(SENSITIVE_QUERY_PARAMETERS).map(|keys| match keys.as_slice() {
        [none] if none.eq_ignore_ascii_case("none") => Vec::new(),
        _ => keys,
    });
    Settings {
        known_methods: env.list(HTTP_KNOWN_METHODS).unwrap_or(defaults.known_methods),
        value_length_limit: length.or(defaults.value_length_limit),
        attribute_count_limit: count.unwrap_or(defaults.attribute_count_limit),
        sensitive_query_keys: sensitive.unwrap_or(defaults.sensitive_query_keys),
        forwarded,
        query_text: env.flag(INCLUDE_DB_STATEMENT),
    }
}

fn resource_attributes(env: &mut Env<'_>) -> Vec<(String, String)> {
    let Some(text) = env.text(RESOURCE_ATTRIBUTES) else { return Vec::new() };
    parse_pairs(&text).unwrap_or_else(|why| {
        env.warn(RESOURCE_ATTRIBUTES, &format!("cannot be read ({why})"));
        Vec::new()
    })
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
