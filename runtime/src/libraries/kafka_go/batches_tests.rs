use runtime_ebpf::kafka_go::records::KIND_MADE;
use runtime_ebpf::libraries::KAFKA_GO;

use super::*;
use crate::records::tests::some_head;

fn batch(address: u64) -> Batch {
    Batch { address, time: [address, 7] }
}

/// The processes' batches, and what each call's records are numbered.
#[derive(Default)]
struct Stage {
    batches: Batches,
    nth: HashMap<u64, u64>,
}

impl Stage {
    fn say(&mut self, kind: u16, span: u8, joined: Joined) -> bool {
        let nth = self.nth.entry(joined.goid).or_default();
        *nth += 1;
        let head = Head { span_id: [span; 8], start_ns: u64::from(span), ..some_head(KAFKA_GO.code, kind) };
        self.batches.joined(&head, &Joined { head, nth: *nth, ..joined })
    }

    /// The call of this span has so many messages for a partition, whose batch is this one with so many in it (0: there is none).
    fn join(&mut self, span: u8, at: u64, size: u64, count: u64) -> bool {
        self.say(
            KIND_JOINED,
            span,
            said(span, if at == 0 { Batch { address: 0, time: [0; 2] } } else { batch(at) }, size, count),
        )
    }

    fn make(&mut self, span: u8, at: u64) -> bool {
        self.say(KIND_MADE, span, said(span, batch(at), 0, 0))
    }

    /// Whose the messages of a batch of this length are: the first one's place, how many, and the span.
    fn sent(&mut self, at: u64, len: u64) -> Vec<(u64, u64, u8)> {
        let (runs, _) = self.batches.sent(&batch(at), len);
        runs.iter().map(|run| (run.first, run.count, run.sender.span_id[0])).collect()
    }
}

fn said(span: u8, batch: Batch, size: u64, count: u64) -> Joined {
    let head = some_head(KAFKA_GO.code, KIND_JOINED);
    Joined { head, batch, size, count, goid: u64::from(span), nth: 0 }
}

#[test]
fn one_call_fills_several_batches() {
    let mut stage = Stage::default();
    stage.join(1, 0, 0, 250);
    for at in [10, 20, 30] {
        assert!(stage.make(1, at));
    }
    assert_eq!(stage.sent(10, 100), [(0, 100, 1)]);
    assert_eq!(stage.sent(20, 100), [(0, 100, 1)]);
    assert_eq!(stage.sent(30, 50), [(0, 50, 1)]);
    // Nothing is left of it.
    assert_eq!((stage.batches.held_bytes(), stage.batches.calls.len()), (0, 0));
}

#[test]
fn several_calls_share_a_batch() {
    let mut stage = Stage::default();
    stage.join(1, 0, 0, 2);
    stage.make(1, 10);
    stage.join(2, 10, 2, 3);
    stage.join(3, 10, 5, 9);
    stage.make(3, 20);
    // The third one's first batch has room for four of its nine; another call has the rest of the second.
    stage.join(4, 20, 5, 1);
    assert_eq!(stage.sent(10, 9), [(0, 2, 1), (2, 3, 2), (5, 4, 3)]);
    assert_eq!(stage.sent(20, 6), [(0, 5, 3), (5, 1, 4)]);
}

#[test]
fn what_was_not_told_of_is_nobodys() {
    let mut stage = Stage::default();
    // Between the two a call that is not recorded has added three, and behind them another one.
    stage.join(1, 0, 0, 2);
    stage.make(1, 10);
    stage.join(2, 10, 5, 1);
    assert_eq!(stage.sent(10, 8), [(0, 2, 1), (5, 1, 2)]);
    // The first of a batch are of a call that began before the agent came.
    stage.join(3, 20, 4, 2);
    assert_eq!(stage.sent(20, 6), [(4, 2, 3)]);
    assert_eq!(stage.sent(30, 6), []);
}

#[test]
fn a_batch_that_took_nothing_more_takes_nothing_away() {
    let mut stage = Stage::default();
    // Its time was up between the look at it and the lock.
    stage.join(1, 10, 4, 3);
    stage.make(1, 20);
    assert_eq!(stage.sent(10, 4), []);
    assert_eq!(stage.sent(20, 3), [(0, 3, 1)]);
}

#[test]
fn a_lost_record_ends_what_is_known_of_a_call() {
    let mut stage = Stage::default();
    stage.join(1, 0, 0, 30);
    stage.make(1, 10);
    *stage.nth.entry(1).or_default() += 1;
    assert!(!stage.make(1, 30));
    assert_eq!(stage.sent(10, 10), []);
    assert_eq!(stage.sent(30, 10), []);
    // The next call on the goroutine is another one.
    stage.join(1, 0, 0, 1);
    stage.make(1, 40);
    assert_eq!(stage.sent(40, 1), [(0, 1, 1)]);
    // A batch was not seen to be sent: of the one behind it nobody knows how many are whose.
    stage.join(2, 50, 3, 10);
    stage.make(2, 60);
    assert_eq!(stage.sent(60, 9), []);
    assert_eq!(stage.sent(50, 5), []);
}

#[test]
fn another_batch_at_the_same_address_is_another() {
    let mut stage = Stage::default();
    stage.join(1, 0, 0, 2);
    stage.make(1, 10);
    let again = Batch { time: [8, 8], ..batch(10) };
    assert_eq!(stage.batches.sent(&again, 2), (vec![], 0));
    assert_eq!(stage.sent(10, 2), [(0, 2, 1)]);
}

#[test]
fn the_oldest_are_given_up() {
    let mut stage = Stage::default();
    for call in 1..=9 {
        stage.join(call, 0, 0, 1);
        stage.make(call, u64::from(call) * 10);
    }
    assert_eq!(stage.batches.shed(4), 10);
    assert_eq!(stage.sent(50, 1), []);
    assert_eq!(stage.sent(60, 1), [(0, 1, 6)]);
}
