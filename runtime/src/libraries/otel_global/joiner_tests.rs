use std::collections::BTreeMap;

use runtime_ebpf::libraries::OTEL_GLOBAL;

use super::*;
use crate::records::tests::{bytes_of, some_head};
use crate::spans::clock::Clock;
use crate::spans::trace_state::TraceStates;
use crate::spans::{Counts, Settings};

/// The joiner, and how many spans it has made.
#[derive(Default)]
struct Stage {
    joiner: OtelGlobalJoiner,
    made: usize,
}

impl Stage {
    /// Takes a record without items of the span with this id, which began then.
    fn take(&mut self, kind: u16, span: u8, number: u64) -> Result<(), DecodeError> {
        let start_ns = u64::from(span);
        let head = Head { span_id: [span; 8], start_ns, ..some_head(OTEL_GLOBAL.code, kind) };
        let (clock, settings) = (Clock::measure().expect("a clock"), Settings::default());
        let made = &mut self.made;
        let mut cx = SpanContext {
            clock: &clock,
            settings: &settings,
            counts: &mut Counts::default(),
            trace_states: &mut TraceStates::default(),
            wish: &mut || {},
            emit: &mut |_| *made += 1,
            tell: &mut |_| {},
            network: None,
        };
        self.joiner.record(&head, &bytes_of(&Said { head, number, is_cut: 0 }), &mut cx)
    }

    fn counted(&self) -> BTreeMap<&'static str, u64> {
        self.joiner.counters().iter().filter(|count| count.value != 0).map(|c| (c.name, c.value)).collect()
    }
}

#[test]
fn each_span_is_exported_or_counted_once() {
    let mut stage = Stage::default();
    for span in 1..=9 {
        assert_eq!(stage.take(KIND_BEGUN, span, 0), Ok(()));
    }
    let Head { tgid, generation, .. } = some_head(OTEL_GLOBAL.code, KIND_BEGUN);
    assert_eq!(stage.take(KIND_ENDED, 9, 0), Ok(()));
    // Whoever is told twice that a span is gone, or of one that was exported, counts it no more.
    for (span, reason) in
        [(4, GONE_NEVER_ENDED), (4, GONE_NEVER_ENDED), (5, GONE_NO_ROOM), (6, GONE_HANDED_ON), (9, 1)]
    {
        assert_eq!(stage.take(KIND_GONE, span, reason), Ok(()));
    }
    // The oldest, which gives way in the kernel, too, and is heard of no more.
    stage.joiner.shed();
    stage.joiner.gave_way(Gone { tgid, generation, until_ns: 2 });
    assert_eq!(stage.take(KIND_GONE, 1, GONE_NEVER_ENDED), Ok(()));
    stage.joiner.forget(tgid, generation);
    let due = [
        ("otel_global.handed_on", 1),
        ("otel_global.lost.gave_way", 1),
        ("otel_global.lost.never_ended", 1),
        ("otel_global.lost.no_room", 1),
        ("otel_global.lost.open_at_exit", 3),
        ("otel_global.lost.too_many_open", 1),
    ];
    assert_eq!((stage.counted(), stage.made, stage.joiner.held_bytes()), (BTreeMap::from(due), 1, 0));
    assert_eq!(
        stage.take(KIND_GONE, 7, 9).expect_err("no such reason"),
        DecodeError::Contradiction("reason")
    );
}

#[test]
fn what_was_given_up_is_counted_once() {
    let mut stage = Stage::default();
    for span in 1..=32 {
        assert_eq!(stage.take(KIND_BEGUN, span, 0), Ok(()));
    }
    stage.joiner.shed();
    assert_eq!(stage.take(KIND_NAMED, 1, 0), Ok(()));
    for span in 1..=32 {
        assert_eq!(stage.take(KIND_ENDED, span, 0), Ok(()));
    }
    assert_eq!((stage.counted(), stage.made), (BTreeMap::from([("otel_global.lost.too_many_open", 3)]), 29));
    // Its end comes once.
    assert_eq!(stage.take(KIND_ENDED, 1, 0), Ok(()));
    assert_eq!(stage.counted().get("otel_global.unmatched"), Some(&1));
}
