//! strobe's catalog of instrumented libraries and its database of struct field offsets.
