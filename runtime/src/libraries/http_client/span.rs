//! The span of a round trip: names, attributes, status.
//!
//! HTTP client conventions 1.45.0. Decisions that they leave open:
//! - A caller that has cancelled its call is no failure: the span has no status code and no error. net/http says so with
//!   `context.Canceled`. Not so a request whose `Cancel` channel was closed: who does that is `http.Client`, when its `Timeout` has passed
//!   and its Transport is wrapped by another RoundTripper. That is a failure with a name of its own, [`CANCEL_CLOSED`].
//! - `error.type` is the status code from 400 on; else the name of the error's type as Go prints it, without the star of a
//!   pointer: `net.OpError`, `tls.RecordHeaderError`. Of an error that only holds another (`fmt.Errorf`'s with `%w`, net/http's
//!   `nothingWrittenError` and `transportReadFromServerError`) it is the other's, as the conventions allow. Where it could not be read it is `_OTHER`.
//! - `server.*` come from the URL, with the scheme's port where it names none; a `Host` of the request's own is not the server.

use std::borrow::Cow;

use runtime_ebpf::http_client::{
    STATUS_UNKNOWN,
    records::{Ended, Failed},
};

use super::begun::Begun;
use crate::libraries::errors::{ErrorTexts, without_star};
use crate::spans::clock::Clock;
use crate::spans::semconv::{self as key, METHOD_OTHER};
use crate::spans::{Counts, FLAG_HAS_REMOTE, FLAG_REMOTE, Kind, Settings, Span, Value};

/// What a cancelled call ends with (`context.Canceled`).
const CANCELLED: &[u8] = b"context canceled";
/// How net/http's errors begin when the request's `Cancel` channel was closed (`errRequestCanceled`, `errRequestCanceledConn`,
/// `http2errRequestCanceled`).
const CANCEL_CLOSED_TEXT: &[u8] = b"net/http: request canceled";
/// `error.type` of those: their Go type says nothing.
const CANCEL_CLOSED: &str = "http.errRequestCanceled";
/// The types of errors after which net/http or golang.org/x/net/http2 may send the request again over another connection (`shouldRetryRequest`), the
/// package as Go prints it.
const PERHAPS_RETRIED: [&str; 8] = [
    "http.nothingWrittenError",
    "http.transportReadFromServerError",
    "http.http2StreamError",
    "http.http2GoAwayError",
    "http.http2noCachedConnError",
    "http2.StreamError",
    "http2.GoAwayError",
    "http2.noCachedConnError",
];
/// The same of errors that are texts: the libraries' own, `http: server closed idle connection` and `http2: client conn not usable`
/// among them.
const PERHAPS_RETRIED_TEXT: &[u8] = b"http";
const ERROR_STRING: &str = "errors.errorString";

/// Of those the ones in front of which nothing was sent: the connection had died, or has too many streams (`errClientConnUnusable`).
const NOTHING_WRITTEN: &str = "http.nothingWrittenError";
const NOT_USABLE: &[u8] = b"http2: client conn not usable";

/// What there is in place of a connection where nobody may dial (`ErrNoCachedConn` of golang.org/x/net/http2).
const NO_CACHED_CONN: &str = "http2.noCachedConnError";

/// How a round trip ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// With a response.
    Response { status: Option<u16>, protocol: Option<&'static str> },
    /// By its caller's wish.
    Cancelled,
    /// With an error of this type.
    Error(String),
}

impl Outcome {
    /// Of a response.
    pub fn of_response(ended: &Ended) -> Self {
        let status = match ended.status {
            STATUS_UNKNOWN => None,
            status => u16::try_from(status).ok().filter(|status| (100..1000).contains(status)),
        };
        let protocol = match (ended.proto_major, ended.proto_minor) {
            (1, 0) => Some("1.0"),
            (1, 1) => Some("1.1"),
            (2, _) => Some("2"),
            (3, _) => Some("3"),
            _ => None,
        };
        Self::Response { status, protocol }
    }

    /// Of an error.
    pub fn of_error(error: &ErrorTexts<'_>) -> Self {
        match error.text() {
            Some(CANCELLED) => return Self::Cancelled,
            Some(text) if text.starts_with(CANCEL_CLOSED_TEXT) => {
                return Self::Error(CANCEL_CLOSED.to_owned());
            }
            _ => {}
        }
        Self::Error(error.error_type().map_or_else(|| key::ERROR_OTHER.to_owned(), Cow::into_owned))
    }
}

/// Whether nothing was sent, because net/http looks for a connection elsewhere: golang.org/x/net's HTTP/2 was asked first.
pub fn is_passed_on(failed: &Failed, error: &ErrorTexts<'_>) -> bool {
    failed.is_final != 0 && error.type_name().map(without_star).is_some_and(|name| name == NO_CACHED_CONN)
}

/// Whether the library may try again after this.
pub fn may_be_retried(failed: &Failed, error: &ErrorTexts<'_>) -> bool {
    if failed.is_final != 0 {
        return false;
    }
    match error.type_name().map(without_star) {
        Some(name) if name == ERROR_STRING => {
            error.text().is_none_or(|text| text.starts_with(PERHAPS_RETRIED_TEXT))
        }
        Some(name) => PERHAPS_RETRIED.contains(&&*name),
        None => true,
    }
}

/// Whether the attempt that failed with this had sent something.
pub fn had_sent(error: &ErrorTexts<'_>) -> bool {
    let has_written = |name| !matches!(&*without_star(name), NOTHING_WRITTEN | NO_CACHED_CONN);
    error.type_name().is_none_or(has_written) && error.text() != Some(NOT_USABLE)
}

/// Builds the span.
pub fn span<'a>(
    scope: &'static str,
    begun: &'a Begun,
    outcome: &'a Outcome,
    end_ns: u64,
    clock: &Clock,
    settings: &Settings,
    counts: &mut Counts,
) -> Span<'a> {
    let parent = (begun.parent_span_id != [0; 8]).then_some(begun.parent_span_id);
    let is_remote = parent.is_some() && begun.parent_is_remote;
    let start_unix_ns = clock.unix_ns(begun.start_ns);
    let name = if begun.method == METHOD_OTHER { "HTTP" } else { &begun.method };
    let mut span = Span {
        scope,
        trace_id: begun.trace_id,
        span_id: begun.span_id,
        parent_span_id: parent,
        trace_state: begun.trace_state.as_deref().map(Cow::Borrowed),
        flags: u32::from(begun.trace_flags) | FLAG_HAS_REMOTE | if is_remote { FLAG_REMOTE } else { 0 },
        name: name.into(),
        kind: Kind::Client,
        start_unix_ns,
        end_unix_ns: clock.unix_ns(end_ns).max(start_unix_ns),
        attributes: Vec::with_capacity(12),
        dropped_attributes: 0,
        events: Vec::new(),
        dropped_events: 0,
        links: Vec::new(),
        made: None,
        error: false,
        message: None,
    };
    let attributes = &mut span.attributes;
    let mut text = |key, value: Option<&'a str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            attributes.push((key, Value::Str(value.into())));
        }
    };
    text(key::HTTP_REQUEST_METHOD, Some(&begun.method));
    text(key::HTTP_REQUEST_METHOD_ORIGINAL, begun.original_method.as_deref());
    text(key::URL_FULL, Some(&begun.url.full));
    text(key::SERVER_ADDRESS, Some(&begun.url.host));
    if let Outcome::Response { protocol, .. } = outcome {
        text(key::NETWORK_PROTOCOL_VERSION, *protocol);
    }
    if let Some(port) = begun.url.port {
        attributes.push((key::SERVER_PORT, Value::Int(i64::from(port))));
    }
    if begun.resends > 0 {
        attributes.push((key::HTTP_REQUEST_RESEND_COUNT, Value::Int(i64::from(begun.resends))));
    }
    let failure: Option<Cow<'a, str>> = match outcome {
        Outcome::Response { status: Some(status), .. } => {
            attributes.push((key::HTTP_RESPONSE_STATUS_CODE, Value::Int(i64::from(*status))));
            (*status >= 400).then(|| status.to_string().into())
        }
        Outcome::Error(name) => Some(name.as_str().into()),
        Outcome::Response { status: None, .. } | Outcome::Cancelled => None,
    };
    if let Some(failure) = failure {
        span.error = true;
        attributes.push((key::ERROR_TYPE, Value::Str(failure)));
    }
    settings.limit(&mut span);
    counts.built += 1;
    span
}
