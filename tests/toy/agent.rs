//! A wheel: its programs, their configuration from its part of the Plan, and its spans.

use analyzer::{
    Plan,
    plan::{self, When},
};
use runtime_ebpf::{
    abi::CHECK_NONE,
    libraries::TOY_WHEEL,
    record::Head,
    toy_wheel::{File, KIND_TURN, Turn},
};

use super::{
    join::{Count, Joiner, SpanContext},
    library::{ConfigError, Flight, Library},
    values::{bytes_of, role, stack_check},
};
use crate::{
    records::{DecodeError, Plain, read},
    spans::{Kind, Span, Value},
};

// SAFETY: repr(C), integers and arrays of them without padding.
unsafe impl Plain for Turn {}

/// The library.
pub struct ToyWheel;

impl Library for ToyWheel {
    fn id(&self) -> &'static str {
        TOY_WHEEL.id
    }

    fn code(&self) -> u16 {
        TOY_WHEEL.code
    }

    fn kind(&self) -> Kind {
        Kind::Internal
    }

    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        &[("start", "toy_wheel_start"), ("end", "toy_wheel_end")]
    }

    fn file_map(&self) -> Option<&'static str> {
        Some("TOY_WHEEL_FILES")
    }

    fn flight(&self) -> Option<Flight> {
        Some(Flight {
            map: "TOY_WHEEL_FLIGHT",
            value_bytes: size_of::<runtime_ebpf::toy_wheel::Flight>(),
            use_map: "TOY_WHEEL_USE",
            entries_global: "TOY_WHEEL_ENTRIES",
            part: 1,
            lost: None,
            gives_way: None,
        })
    }

    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
        let start = role(library, "start").and_then(|start| start.sites.first());
        let start = start.ok_or(ConfigError::NoSite { library: TOY_WHEEL.id, role: "start" })?;
        let start_check =
            if start.when == When::Entry { stack_check(plan.arch, &start.bytes) } else { CHECK_NONE };
        // SAFETY: a File is repr(C), bytes without padding.
        Ok(unsafe { bytes_of(&File { start_check, reserved: [0; 7] }) })
    }

    fn joiner(&self) -> Box<dyn Joiner> {
        Box::new(Turns)
    }
}

/// One record is a whole span: nothing is kept.
struct Turns;

impl Joiner for Turns {
    fn record(&mut self, head: &Head, bytes: &[u8], cx: &mut SpanContext<'_>) -> Result<(), DecodeError> {
        if head.kind != KIND_TURN {
            return Err(DecodeError::UnknownKind(head.kind));
        }
        let turn: Turn = read(bytes, 0)?;
        (cx.emit)(&Span {
            scope: "strobe/toy",
            trace_id: head.trace_id,
            span_id: head.span_id,
            parent_span_id: None,
            flags: u32::from(head.trace_flags),
            trace_state: None,
            name: "turn".into(),
            kind: Kind::Internal,
            start_unix_ns: cx.clock.unix_ns(head.start_ns),
            end_unix_ns: cx.clock.unix_ns(head.end_ns),
            attributes: vec![("toy.turns", Value::Int(turn.turns.cast_signed()))],
            dropped_attributes: 0,
            events: Vec::new(),
            dropped_events: 0,
            links: Vec::new(),
            made: None,
            error: false,
            message: None,
        });
        Ok(())
    }

    fn forget(&mut self, _: u32, _: u32) {}

    fn held_bytes(&self) -> usize {
        0
    }

    fn shed(&mut self) {}

    fn counters(&self) -> Vec<Count> {
        Vec::new()
    }
}
