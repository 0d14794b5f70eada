//! An operation that has begun, as it is kept until its end: what its span needs and no more.

use std::sync::Arc;

use runtime_ebpf::{
    database_sql::{
        BEGIN, COMMIT, PING, PREPARE, ROLLBACK,
        records::{BEGAN_ADDRESS, BEGAN_DATABASE, BEGAN_NETWORK, BEGAN_QUERY, Began},
    },
    record::PARENT_REMOTE,
};

use super::place::{Form, Place, Said, place};
use super::records::BeganTexts;
use super::statement::{self, Statement};
use super::systems::{self, System};
use crate::libraries::open::Kept;
use crate::records::Text;
use crate::spans::{Counts, Settings, text};

/// A begun operation.
#[derive(Debug, PartialEq, Eq)]
pub struct Begun {
    /// The trace id.
    pub trace_id: [u8; 16],
    /// The span's id.
    pub span_id: [u8; 8],
    /// The parent's; zeros without one.
    pub parent_span_id: [u8; 8],
    /// CLOCK_MONOTONIC at the beginning.
    pub start_ns: u64,
    /// W3C trace flags.
    pub trace_flags: u8,
    /// Whether the parent came over the wire: never yet.
    pub parent_is_remote: bool,
    /// `db.operation.name`, of what is no statement.
    pub operation: Option<&'static str>,
    /// Whether its driver may leave it out: nothing is lost where it has no end.
    pub may_be_left_out: bool,
    /// Which system it is.
    pub system: System,
    /// Where the database is.
    pub place: Place,
    /// What its statement says.
    pub statement: Statement,
    /// Its trace's `tracestate`.
    pub trace_state: Option<Arc<str>>,
}

/// Bytes of the allocator and of the table that an operation costs beside what it holds itself.
const OVERHEAD_BYTES: usize = 128;

impl Begun {
    /// From its record.
    pub fn new(began: &Began, texts: &BeganTexts<'_>, settings: &Settings, counts: &mut Counts) -> Self {
        let head = &began.head;
        let held = |slot: usize| texts.get(slot).copied().flatten();
        // What was cut could be read as something else.
        let whole = |slot: usize| {
            let text =
                held(slot).filter(|text: &Text<'_>| !text.is_cut()).map_or(&b""[..], |text| text.bytes);
            std::str::from_utf8(text).unwrap_or_default()
        };
        let system = systems::system_of(began.system);
        let said = Said {
            form: Form::of(began.form),
            system: began.system,
            address: whole(BEGAN_ADDRESS),
            database: whole(BEGAN_DATABASE),
            network: whole(BEGAN_NETWORK),
            port: u16::try_from(began.port).unwrap_or(0),
        };
        let operation = operation(usize::from(began.operation));
        let mut statement = Statement::default();
        if let Some(query) = held(BEGAN_QUERY).filter(|query| query.full_len > 0) {
            let is_cut = query.is_cut();
            let query = text::lossy(query, counts);
            statement = statement::read(&query, is_cut, system.dialect, settings.query_text);
        }
        if operation.is_some() {
            statement.summary = None;
        }
        Self {
            trace_id: head.trace_id,
            span_id: head.span_id,
            parent_span_id: head.parent_span_id,
            start_ns: head.start_ns,
            trace_flags: head.trace_flags,
            parent_is_remote: head.parent == PARENT_REMOTE,
            operation,
            may_be_left_out: usize::from(began.operation) == PING,
            system,
            place: place(&said),
            statement,
            trace_state: None,
        }
    }
}

impl Kept for Begun {
    fn start_ns(&self) -> u64 {
        self.start_ns
    }

    fn held_bytes(&self) -> usize {
        let len = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
        let place = len(&self.place.address) + len(&self.place.namespace);
        let statement = len(&self.statement.summary) + len(&self.statement.text);
        let list = self.trace_state.as_ref().map_or(0, |list| list.len());
        size_of::<Self>() + place + statement + list + OVERHEAD_BYTES
    }
}

/// `db.operation.name` of what is no statement.
fn operation(number: usize) -> Option<&'static str> {
    match number {
        PREPARE => Some("PREPARE"),
        BEGIN => Some("BEGIN"),
        COMMIT => Some("COMMIT"),
        ROLLBACK => Some("ROLLBACK"),
        PING => Some("PING"),
        _ => None,
    }
}
