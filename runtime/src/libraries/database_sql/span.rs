//! The span of an operation: names, attributes, status.
//!
//! Database client conventions 1.45.0. Decisions that they leave open:
//! - A caller that has cancelled its call is no failure: no error. The drivers say so with `context.Canceled`, or with an error around it;
//!   a server that says that its statement was cancelled does not know why, and that is a failure with its code.
//! - `error.type` is the server's code, else the name of the error's type as Go prints it, without the star of a pointer. Of an error that
//!   only holds another (`fmt.Errorf`'s with `%w`, pgx's own) it is the other's. Where it could not be read it is `_OTHER`.
//! - What is no statement has a `db.operation.name`: `BEGIN`, `COMMIT`, `ROLLBACK`, `PREPARE`, `PING`.

use std::borrow::Cow;

use runtime_ebpf::database_sql::records::Failed;

use super::begun::Begun;
use super::records;
use crate::libraries::errors::ErrorTexts;
use crate::spans::clock::Clock;
use crate::spans::semconv::{self as key, scope};
use crate::spans::{Counts, FLAG_HAS_REMOTE, FLAG_REMOTE, Kind, Settings, Span, Value};

/// What a cancelled call ends with (`context.Canceled`).
const CANCELLED: &[u8] = b"context canceled";

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// By its caller's wish.
    Cancelled,
    /// With an error.
    Error { kind: String, code: Option<String> },
}

impl Outcome {
    /// Of an error.
    pub fn of_error(failed: &Failed, error: &ErrorTexts<'_>) -> Self {
        if error.text() == Some(CANCELLED) {
            return Self::Cancelled;
        }
        let kind = error.error_type().map_or_else(|| key::ERROR_OTHER.to_owned(), Cow::into_owned);
        Self::Error { kind, code: records::code(failed) }
    }
}

/// The span's name: `{summary}`, else `{operation} {target}`, as far as both are known, else the system.
fn name(begun: &Begun) -> Cow<'_, str> {
    if let Some(summary) = &begun.statement.summary {
        return summary.into();
    }
    let place = &begun.place;
    let server = || {
        let address = place.address.as_deref()?;
        Some(place.port.map_or(Cow::Borrowed(address), |port| Cow::Owned(format!("{address}:{port}"))))
    };
    let target = place.namespace.as_deref().map(Cow::Borrowed).or_else(server);
    match (begun.operation, target) {
        (Some(operation), Some(target)) => format!("{operation} {target}").into(),
        (Some(operation), None) => operation.into(),
        (None, Some(target)) => target,
        (None, None) => begun.system.name.into(),
    }
}

/// Builds the span.
pub fn span<'a>(
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
    let mut span = Span {
        scope: scope::DATABASE_SQL,
        trace_id: begun.trace_id,
        span_id: begun.span_id,
        parent_span_id: parent,
        trace_state: begun.trace_state.as_deref().map(Cow::Borrowed),
        flags: u32::from(begun.trace_flags) | FLAG_HAS_REMOTE | if is_remote { FLAG_REMOTE } else { 0 },
        name: name(begun),
        kind: Kind::Client,
        start_unix_ns,
        end_unix_ns: clock.unix_ns(end_ns).max(start_unix_ns),
        attributes: Vec::with_capacity(8),
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
        if let Some(value) = value {
            attributes.push((key, Value::Str(value.into())));
        }
    };
    text(key::DB_SYSTEM_NAME, Some(begun.system.name));
    text(key::DB_NAMESPACE, begun.place.namespace.as_deref());
    text(key::DB_OPERATION_NAME, begun.operation);
    text(key::DB_QUERY_SUMMARY, begun.statement.summary.as_deref());
    text(key::DB_QUERY_TEXT, begun.statement.text.as_deref());
    text(key::SERVER_ADDRESS, begun.place.address.as_deref());
    if let Outcome::Error { kind, code } = outcome {
        text(key::DB_RESPONSE_STATUS_CODE, code.as_deref());
        text(key::ERROR_TYPE, Some(code.as_deref().unwrap_or(kind)));
        span.error = true;
    }
    if let Some(port) = begun.place.port {
        attributes.push((key::SERVER_PORT, Value::Int(i64::from(port))));
    }
    settings.limit(&mut span);
    counts.built += 1;
    span
}
