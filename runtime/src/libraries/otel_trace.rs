//! `go.opentelemetry.io/otel/trace`: the Auto SDK that the API has of its own.

use runtime_ebpf::libraries::OTEL_TRACE;

use super::made::ByHand;

/// The library.
pub const LIBRARY: ByHand = ByHand {
    kernel: OTEL_TRACE,
    programs: &[("start", "otel_trace_start"), ("end", "otel_trace_end")],
    telling: &[("start", "otel_trace_start_telling")],
    file_map: "OTEL_TRACE_FILES",
};
