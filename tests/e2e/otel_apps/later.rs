//! What OpenTelemetry's tests require of these applications, and strobe does not have yet: each constant becomes `true` with the change that
//! brings it, and then all of it is required. Nothing else here, or in what is required, has to change.

use strobe_tests::spans::{Expected, Parent};

/// Spans that a program makes by OpenTelemetry's API (`otel.Tracer`) while it has no SDK: they come when the API hands them to the Auto SDK.
pub const MANUAL_SPANS_BY_API: bool = true;
/// A span of one message that is sent has its key, as one that is received has.
pub const KEYS_OF_WHAT_IS_SENT: bool = true;
/// `span.SpanContext()` is valid in the program, so that it can link to a span of its own.
pub const IDENTITIES_IN_THE_PROGRAM: bool = false;

/// The span that is made by the API, if it has to be there, with these below it; else these alone, where it would be.
pub fn by_api(made: Expected, below: Vec<Expected>) -> Vec<Expected> {
    if !MANUAL_SPANS_BY_API {
        return below;
    }
    let parent = made.parent.clone();
    let children = below.into_iter().map(|span| Expected { parent: Parent::Above, ..span }).collect();
    vec![Expected { parent, children, ..made }]
}

/// A call, and what it has called.
pub fn across(call: Expected, mut called: Expected) -> Vec<Expected> {
    // That its parent is remote is in its flags.
    (called.parent, called.flags) = (Parent::Above, 0x301);
    let children = [call.children.as_slice(), &[called]].concat();
    vec![Expected { children, ..call }]
}
