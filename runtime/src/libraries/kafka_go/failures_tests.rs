use super::*;

const SPAN: [u8; 8] = [1; 8];

fn batch(address: u64) -> Batch {
    Batch { address, time: [address, 7] }
}

fn partition(number: u64) -> Partition {
    (Some("orders".into()), number)
}

fn failure(count: u64, error: &str) -> Failure {
    Failure { count, error: error.to_owned(), at_ns: count }
}

/// The partitions' numbers, their messages and errors.
fn ended(failures: &mut Failures, span: [u8; 8]) -> Vec<(u64, u64, String)> {
    let all = failures.end(&span);
    all.into_iter().map(|((_, number), failure)| (number, failure.count, failure.error)).collect()
}

#[test]
fn a_partition_has_the_first_error_of_its_batches_and_the_messages_of_all() {
    let mut failures = Failures::default();
    assert_eq!((failures.begin(SPAN), failures.begin(SPAN)), (0, 0));
    failures.add(&SPAN, &partition(2), batch(10), failure(5, "A"));
    failures.add(&SPAN, &partition(0), batch(20), failure(1, "B"));
    failures.add(&SPAN, &partition(2), batch(30), failure(7, "C"));
    failures.add(&SPAN, &partition(2), batch(40), failure(8, "D"));
    assert_eq!(ended(&mut failures, SPAN), [(0, 1, "B".to_owned()), (2, 20, "A".to_owned())]);
    assert_eq!(ended(&mut failures, SPAN), []);
    assert_eq!(failures.held_bytes(), 0);
}

#[test]
fn what_is_sent_again_has_not_failed() {
    let mut failures = Failures::default();
    failures.begin(SPAN);
    failures.add(&SPAN, &partition(0), batch(10), failure(5, "A"));
    failures.take_back(&SPAN, &partition(0), batch(10));
    failures.add(&SPAN, &partition(1), batch(20), failure(6, "B"));
    failures.take_back(&SPAN, &partition(1), batch(20));
    failures.add(&SPAN, &partition(1), batch(20), failure(6, "C"));
    // The batch before is past.
    failures.add(&SPAN, &partition(1), batch(30), failure(2, "D"));
    failures.take_back(&SPAN, &partition(1), batch(20));
    failures.take_back(&SPAN, &partition(1), batch(30));
    failures.take_back(&SPAN, &partition(9), batch(30));
    assert_eq!(ended(&mut failures, SPAN), [(1, 6, "C".to_owned())]);
    assert_eq!(failures.held_bytes(), 0);
}

#[test]
fn partitions_of_several_topics_are_told_apart() {
    let mut failures = Failures::default();
    failures.begin(SPAN);
    for topic in [Some("a"), Some("b"), None] {
        failures.add(&SPAN, &(topic.map(Into::into), 0), batch(10), failure(1, "A"));
    }
    assert_eq!(failures.end(&SPAN).len(), 3);
}

#[test]
fn nothing_is_kept_of_calls_that_have_ended() {
    let mut failures = Failures::default();
    failures.add(&SPAN, &partition(0), batch(10), failure(5, "A"));
    assert_eq!((failures.end(&SPAN), failures.held_bytes()), (Vec::new(), 0));
    failures.begin(SPAN);
    failures.end(&SPAN);
    failures.add(&SPAN, &partition(0), batch(10), failure(5, "A"));
    assert_eq!((failures.end(&SPAN), failures.held_bytes()), (Vec::new(), 0));
}

#[test]
fn calls_that_began_long_ago_are_given_up() {
    let mut failures = Failures::default();
    let span = |number: u64| number.to_le_bytes();
    let most = MOST as u64;
    let given_up: u64 = (1..=2 * most).map(|number| failures.begin(span(number))).sum();
    assert_eq!(given_up, most + most / 2 - most / 2);
    for number in [1, 2 * most] {
        failures.add(&span(number), &partition(0), batch(10), failure(5, "A"));
    }
    assert_eq!((failures.end(&span(1)).len(), failures.end(&span(2 * most)).len()), (0, 1));
    assert_eq!(failures.shed() + failures.shed(), most - 1);
    assert_eq!(failures.held_bytes(), 0);
}
