//! OpenTelemetry's Auto SDK for Go, in both of its places: spans that a program makes by hand. Each comes in one record, as the Auto SDK has
//! written it down.

mod span;

pub use span::of_written;

use analyzer::{
    Plan,
    plan::{self, When},
};
use offsets::abi::integer_registers;
use runtime_ebpf::{
    abi::{BY_HAND_TABLE, CHECK_NONE},
    libraries as kernel,
    made::{
        BEGINS, CONTEXT_WORD, File, IN_FLIGHT_BYTES, OPEN, SAMPLED,
        records::{Ended, KIND_ENDED},
    },
    record::Head,
};

use super::contexts::has_known_ids;
use super::join::{Joiner, SpanContext, Whole};
use super::library::{ConfigError, Flight, GivesWay, Library, NeverEnded};
use super::values::{bytes_of, role, stack_check};
use crate::records::{DecodeError, Plain, read};
use crate::spans::{Kind, Span};

/// A library that has a copy of it.
pub struct ByHand {
    /// Its line in the programs' table.
    pub kernel: kernel::Library,
    /// The programs of its roles, `start` and `end`.
    pub programs: &'static [(&'static str, &'static str)],
    /// The program for `start` that tells the target the span's ids.
    pub telling: &'static [(&'static str, &'static str)],
    /// The map of its configurations.
    pub file_map: &'static str,
}

/// Where spans made by hand are kept while they are open, whichever library makes them.
pub fn flight() -> Flight {
    Flight {
        map: "BY_HAND_FLIGHT",
        value_bytes: IN_FLIGHT_BYTES,
        use_map: "BY_HAND_USE",
        entries_global: "BY_HAND_ENTRIES",
        part: 1,
        lost: Some(NeverEnded { at_exit: "by_hand.lost.open_at_exit", state: OPEN | SAMPLED, kinds: &[0] }),
        gives_way: Some(GivesWay {
            counter: "by_hand.lost.gave_way",
            is_loss: true,
            states: OPEN | BEGINS,
            table: BY_HAND_TABLE,
            address_at: None,
        }),
    }
}

impl Library for ByHand {
    fn id(&self) -> &'static str {
        self.kernel.id
    }

    fn code(&self) -> u16 {
        self.kernel.code
    }

    /// Whatever its programs say of each of their spans.
    fn kind(&self) -> Kind {
        Kind::Internal
    }

    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        self.programs
    }

    fn telling(&self) -> &'static [(&'static str, &'static str)] {
        self.telling
    }

    fn may_tell(&self, library: &plan::Library, plan: &Plan) -> bool {
        let word = integer_registers(plan.arch.name()).get(CONTEXT_WORD);
        let values = role(library, "start").map(|function| function.values.as_slice()).unwrap_or_default();
        let is_there = |value: &plan::Value| match value.words.as_slice() {
            [plan::Word::Register(register)] => value.name == "context" && Some(&register.as_str()) == word,
            _ => false,
        };
        has_known_ids(plan) && values.iter().any(is_there)
    }

    fn file_map(&self) -> Option<&'static str> {
        Some(self.file_map)
    }

    fn flight(&self) -> Option<Flight> {
        Some(flight())
    }

    fn asks_for_parents(&self) -> bool {
        true
    }

    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
        let site = |name| {
            let site = role(library, name).and_then(|function| function.sites.first());
            site.ok_or(ConfigError::NoSite { library: self.kernel.id, role: name })
        };
        let check = |site: &plan::Site| match site.when {
            When::Entry => stack_check(plan.arch, &site.bytes),
            _ => CHECK_NONE,
        };
        let (start, end) = (site("start")?, site("end")?);
        let file =
            File { start_vaddr: start.vaddr, start_check: check(start), end_check: check(end), rest: [0; 6] };
        // SAFETY: a File is repr(C), integers without padding (its size is pinned by a test in runtime-ebpf).
        Ok(unsafe { bytes_of(&file) })
    }

    fn joiner(&self) -> Box<dyn Joiner> {
        Box::new(Whole(|head, bytes, cx| span(head, bytes, cx)))
    }
}

// SAFETY: repr(C), integers and byte arrays; runtime-ebpf's tests pin that it has no padding.
unsafe impl Plain for Ended {}

/// The JSON of a record.
fn json<'a>(head: &Head, bytes: &'a [u8]) -> Result<&'a [u8], DecodeError> {
    if head.kind != KIND_ENDED {
        return Err(DecodeError::UnknownKind(head.kind));
    }
    let fixed: Ended = read(bytes, 0)?;
    if head.trace_id == [0; 16] {
        return Err(DecodeError::ZeroId("trace id"));
    }
    if head.span_id == [0; 8] {
        return Err(DecodeError::ZeroId("span id"));
    }
    let json = bytes.get(size_of::<Ended>()..).unwrap_or_default();
    if u64::try_from(json.len()).ok() != Some(fixed.json_bytes) {
        return Err(DecodeError::Contradiction("lengths"));
    }
    Ok(json)
}

fn span(head: &Head, bytes: &[u8], cx: &mut SpanContext<'_>) -> Result<Span<'static>, DecodeError> {
    let span = span::span(head, json(head, bytes)?, cx.clock, cx.settings)?;
    cx.counts.built += 1;
    Ok(span)
}

#[cfg(test)]
mod tests {
    use runtime_ebpf::libraries::AUTO_SDK;

    use super::*;
    use crate::records::tests::{bytes_of, some_head};

    fn record(json: &[u8], claimed: u64) -> (Head, Vec<u8>) {
        let head = some_head(AUTO_SDK.code, KIND_ENDED);
        let bytes = [&bytes_of(&Ended { head, json_bytes: claimed }), json].concat();
        (head, bytes)
    }

    #[test]
    fn a_record_is_as_long_as_it_says() {
        let (head, bytes) = record(b"{}", 2);
        assert_eq!(json(&head, &bytes), Ok(&b"{}"[..]));
        for (claimed, reason) in [(1, "contradiction"), (3, "contradiction")] {
            let (head, bytes) = record(b"{}", claimed);
            assert_eq!(json(&head, &bytes).expect_err("wrong").reason(), reason);
        }
        for len in 0..size_of::<Ended>() {
            assert_eq!(json(&head, &bytes[..len]).expect_err("truncated").reason(), "truncated", "{len}");
        }
        let unknown = Head { kind: 9, ..head };
        assert_eq!(json(&unknown, &bytes).expect_err("unknown").reason(), "unknown_kind");
        let nobody = Head { trace_id: [0; 16], ..head };
        assert_eq!(json(&nobody, &bytes).expect_err("nobody").reason(), "zero_id");
    }
}
