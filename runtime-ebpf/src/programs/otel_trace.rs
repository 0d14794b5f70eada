//! `go.opentelemetry.io/otel/trace`: the Auto SDK that it has of its own.

super::made::made! { OTEL_TRACE OTEL_TRACE_FILES otel_trace_start otel_trace_start_telling otel_trace_end }
