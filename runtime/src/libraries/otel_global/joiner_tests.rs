use runtime_ebpf::libraries::OTEL_GLOBAL;

use super::*;
use crate::records::tests::{bytes_of, some_head};
use crate::spans::clock::Clock;
use crate::spans::trace_state::TraceStates;
use crate::spans::{Counts, Settings};

/// Takes a record without items of a span that began at this time; gives how many spans came of it.
fn take(joiner: &mut OtelGlobalJoiner, kind: u16, span: u8) -> usize {
    let mut head = some_head(OTEL_GLOBAL.code, kind);
    head.len = u32::try_from(size_of::<Said>()).expect("small");
    (head.span_id, head.start_ns) = ([span; 8], span.into());
    let (clock, settings, mut counts) = (Clock::with_offset_ns(0), Settings::default(), Counts::default());
    let (mut trace_states, mut spans) = (TraceStates::default(), 0);
    let mut cx = SpanContext {
        clock: &clock,
        settings: &settings,
        counts: &mut counts,
        trace_states: &mut trace_states,
        wish: &mut || {},
        emit: &mut |_| spans += 1,
        tell: &mut |_| {},
        network: None,
    };
    let said = bytes_of(&Said { head, number: 0, is_cut: 0 });
    joiner.record(&head, &said, &mut cx).expect("a record");
    spans
}

fn counted(joiner: &OtelGlobalJoiner) -> Vec<(&'static str, u64)> {
    let all = joiner.counters().into_iter().map(|count| (count.name, count.value));
    all.filter(|(_, value)| *value > 0).collect()
}

/// What is open in the kernel, too, is counted there if it never ends.
#[test]
fn what_was_given_up_is_counted_once_when_it_ends() {
    let mut joiner = OtelGlobalJoiner::default();
    (1..=32).for_each(|span| assert_eq!(take(&mut joiner, KIND_BEGUN, span), 0));
    joiner.shed();
    assert_eq!(take(&mut joiner, KIND_NAMED, 1), 0);
    assert_eq!(counted(&joiner), []);
    assert_eq!((1..=32).map(|span| take(&mut joiner, KIND_ENDED, span)).sum::<usize>(), 29);
    assert_eq!(counted(&joiner), [("otel_global.lost.too_many_open", 3)]);
    take(&mut joiner, KIND_ENDED, 1);
    assert_eq!(counted(&joiner), [("otel_global.lost.too_many_open", 3), ("otel_global.unmatched", 1)]);
}
