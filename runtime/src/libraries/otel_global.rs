//! `go.opentelemetry.io/otel/internal/global` before v1.33: spans by OpenTelemetry's API in a program without an SDK. What the program says of
//! a span comes in a record for each call; the joiner keeps it until the span ends.

mod config;
mod items;
mod joiner;
mod kept;

use analyzer::{Plan, plan};
use runtime_ebpf::libraries::OTEL_GLOBAL;

use super::join::Joiner;
use super::library::{ConfigError, Flight, Library};
use super::made;
use super::values::bytes_of;
use crate::spans::Kind;

/// The library.
pub struct OtelGlobal;

impl Library for OtelGlobal {
    fn id(&self) -> &'static str {
        OTEL_GLOBAL.id
    }

    fn code(&self) -> u16 {
        OTEL_GLOBAL.code
    }

    /// Whatever its programs say of each of their spans.
    fn kind(&self) -> Kind {
        Kind::Internal
    }

    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("start", "otel_global_start"),
            ("started", "otel_global_started"),
            ("set_attributes", "otel_global_set_attributes"),
            ("set_name", "otel_global_set_name"),
            ("set_status", "otel_global_set_status"),
            ("add_event", "otel_global_add_event"),
            ("record_error", "otel_global_record_error"),
            ("add_link", "otel_global_add_link"),
            ("end", "otel_global_end"),
        ]
    }

    fn tails(&self) -> &'static [&'static str] {
        &[
            "otel_global_start_large",
            "otel_global_set_attributes_large",
            "otel_global_add_event_large",
            "otel_global_record_error_large",
            "otel_global_add_link_large",
        ]
    }

    fn tail_map(&self) -> &'static str {
        "OTEL_GLOBAL_TAILS"
    }

    fn takes(&self, role: &str, library: &plan::Library, _carries: bool) -> bool {
        role != "add_link" || config::knows_links(library)
    }

    fn file_map(&self) -> Option<&'static str> {
        Some("OTEL_GLOBAL_FILES")
    }

    fn flight(&self) -> Option<Flight> {
        Some(made::flight())
    }

    fn asks_for_parents(&self) -> bool {
        true
    }

    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
        let file = config::file(library, plan)?;
        // SAFETY: a File is repr(C), integers without padding (its size is pinned by a test in runtime-ebpf).
        Ok(unsafe { bytes_of(&file) })
    }

    fn joiner(&self) -> Box<dyn Joiner> {
        Box::new(joiner::OtelGlobalJoiner::default())
    }
}
