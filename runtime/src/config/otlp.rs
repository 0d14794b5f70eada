//! `OTEL_EXPORTER_OTLP_*`: where and how spans are sent. A variable with `TRACES_` in it beats the general one.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::env::Env;
use super::pairs::parse_pairs;
use crate::export::secrets::{text_without_secrets, without_secrets};

/// `OTEL_EXPORTER_OTLP_ENDPOINT`, to which `/v1/traces` is appended; without a scheme it is taken for `http://`.
pub const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, used as it is.
pub const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
/// Default of [`ENDPOINT`].
pub const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
/// Default of `OTEL_EXPORTER_OTLP_TIMEOUT`.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(10_000);
/// The path of trace exports.
const TRACES_PATH: &str = "v1/traces";

/// Settings of the OTLP exporter.
#[derive(Clone, PartialEq)]
pub struct Otlp {
    /// Where requests go, path included.
    pub endpoint: Url,
    /// The variable that says so, or would: for messages.
    pub endpoint_variable: &'static str,
    /// Added to each request; they may hold credentials and are never printed.
    pub headers: HeaderMap,
    /// Limit of one attempt; zero: none.
    pub timeout: Duration,
    /// Compress requests.
    pub gzip: bool,
    /// PEM file of the authorities to trust instead of the system's.
    pub certificate: Option<PathBuf>,
    /// PEM file of the client's key.
    pub client_key: Option<PathBuf>,
    /// PEM file of the client's certificate chain.
    pub client_certificate: Option<PathBuf>,
}

impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Otlp")
            .field("endpoint", &without_secrets(&self.endpoint))
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .field("gzip", &self.gzip)
            .finish_non_exhaustive()
    }
}

/// What cannot be done as asked, and must not be done otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// A protocol other than http/protobuf.
    #[error(
        "{variable} asks for grpc, which strobe does not speak: set it to http/protobuf and point \
         OTEL_EXPORTER_OTLP_ENDPOINT to the collector's OTLP/HTTP port (usually 4318)"
    )]
    Grpc {
        /// The variable that said so.
        variable: &'static str,
    },
    /// An endpoint that cannot be parsed.
    #[error("{variable} is {value:?}, not a URL such as http://otel-collector:4318 ({why})")]
    Endpoint {
        /// The variable that holds it.
        variable: &'static str,
        /// Its value, without credentials and query.
        value: String,
        /// What is wrong.
        why: String,
    },
}

/// Whether one of the endpoint variables is set.
pub(super) fn endpoint_is_set(env: &mut Env<'_>) -> bool {
    env.text(TRACES_ENDPOINT).is_some() || env.text(ENDPOINT).is_some()
}

macro_rules! names {
    ($suffix:literal) => {
        (concat!("OTEL_EXPORTER_OTLP_TRACES_", $suffix), concat!("OTEL_EXPORTER_OTLP_", $suffix))
    };
}

impl Otlp {
    pub(super) fn from_env(env: &mut Env<'_>) -> Result<Self, OtlpError> {
        protocol(env)?;
        let mut path = |names| first(env, names).map(|(_, path)| PathBuf::from(path));
        let certificate = path(names!("CERTIFICATE"));
        let client_key = path(names!("CLIENT_KEY"));
        let client_certificate = path(names!("CLIENT_CERTIFICATE"));
        let (endpoint_variable, endpoint) = endpoint(env)?;
        Ok(Self {
            endpoint,
            endpoint_variable,
            headers: headers(env),
            timeout: timeout(env),
            gzip: gzip(env),
            certificate,
            client_key,
            client_certificate,
        })
    }
}

/// The special variable, else the general one, with its name.
fn first(
    env: &mut Env<'_>,
    (special, general): (&'static str, &'static str),
) -> Option<(&'static str, String)> {
    match env.text(special) {
        Some(text) => Some((special, text)),
        None => env.text(general).map(|text| (general, text)),
    }
}

fn protocol(env: &mut Env<'_>) -> Result<(), OtlpError> {
    let Some((variable, text)) = first(env, names!("PROTOCOL")) else { return Ok(()) };
    match text.to_ascii_lowercase().as_str() {
        "http/protobuf" => {}
        "grpc" => return Err(OtlpError::Grpc { variable }),
        "http/json" => {
            let why = "which strobe does not send: http/protobuf goes to the same endpoint";
            env.warnings.push(format!("{variable} is http/json, {why}"));
        }
        _ => env.warn(variable, &format!("is {text:?}, not http/protobuf")),
    }
    Ok(())
}

fn endpoint(env: &mut Env<'_>) -> Result<(&'static str, Url), OtlpError> {
    if let Some(value) = env.text(TRACES_ENDPOINT) {
        return Ok((TRACES_ENDPOINT, parse_endpoint(TRACES_ENDPOINT, &value)?));
    }
    let value = env.text(ENDPOINT).unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
    let mut url = parse_endpoint(ENDPOINT, &value)?;
    let slash = if url.path().ends_with('/') { "" } else { "/" };
    let path = format!("{}{slash}{TRACES_PATH}", url.path());
    url.set_path(&path);
    Ok((ENDPOINT, url))
}

fn parse_endpoint(variable: &'static str, value: &str) -> Result<Url, OtlpError> {
    let error = |why: String| OtlpError::Endpoint { variable, value: text_without_secrets(value), why };
    let with_scheme = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&with_scheme).map_err(|why| error(why.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(error(format!("its scheme is {}, not http or https", url.scheme())));
    }
    Ok(url)
}

fn headers(env: &mut Env<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some((variable, text)) = first(env, names!("HEADERS")) else { return headers };
    // One by one, so that a broken header does not take an `authorization` with it. Neither values are shown nor what should
    // have been a name: in `authorization: Basic c2VjcmV0==` it holds the secret.
    for (index, pair) in text.split(',').enumerate().filter(|(_, pair)| !pair.trim().is_empty()) {
        match header(pair) {
            Some((name, value)) => drop(headers.insert(name, value)),
            None => env.warn(
                variable,
                &format!("has a broken entry, number {}, which is not `name=value` as in authorization=Bearer%20TOKEN: that one", index + 1),
            ),
        }
    }
    headers
}

fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = parse_pairs(pair).ok()?.pop()?;
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

fn timeout(env: &mut Env<'_>) -> Duration {
    let (special, general) = names!("TIMEOUT");
    env.millis(special).or_else(|| env.millis(general)).unwrap_or(DEFAULT_TIMEOUT)
}

fn gzip(env: &mut Env<'_>) -> bool {
    let Some((variable, text)) = first(env, names!("COMPRESSION")) else { return false };
    match text.to_ascii_lowercase().as_str() {
        "gzip" => return true,
        "none" => {}
        _ => env.warn(variable, &format!("is {text:?}, not gzip or none")),
    }
    false
}
