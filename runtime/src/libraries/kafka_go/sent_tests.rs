use super::*;

fn place(network: u64, address: &str, topic: &str) -> Place {
    Place { network, address: address.into(), topic: topic.into(), partition: 0 }
}

fn run(first: u64, count: u64, span: u8) -> Run {
    let sender = Sender { trace_id: [1; 16], span_id: [span; 8], trace_flags: 1 };
    Run { first, count, sender }
}

/// Writes these at the offset.
fn write(sent: &mut SentMessages, place: &Place, offset: u64, runs: &[Run]) {
    let place = sent.begin(place.clone());
    assert!(sent.is_under_way(&place));
    sent.written(&place, offset, 100, runs);
    sent.end(&place);
    assert!(!sent.is_under_way(&place));
}

fn span(sent: &SentMessages, place: &Place, offset: u64) -> u8 {
    sent.sender(place, offset, 200).map_or(0, |sender| sender.span_id[0])
}

#[test]
fn each_offset_is_of_the_call_that_wrote_it() {
    let (mut sent, here) = (SentMessages::default(), place(1, "broker:9092", "orders"));
    write(&mut sent, &here, 40, &[run(0, 2, 1), run(5, 1, 2)]);
    let got: Vec<u8> = (39..47).map(|offset| span(&sent, &here, offset)).collect();
    assert_eq!(got, [0, 1, 1, 0, 0, 0, 2, 0]);
    // Who had it before it was sent has had another one.
    assert!(sent.sender(&here, 40, 99).is_none() && sent.sender(&here, 40, 100).is_some());
}

#[test]
fn clusters_topics_and_networks_are_told_apart() {
    let (mut sent, here) = (SentMessages::default(), place(1, "broker:9092", "orders"));
    write(&mut sent, &here, 0, &[run(0, 2, 1)]);
    let others = [
        place(2, "broker:9092", "orders"),
        place(1, "broker:9093", "orders"),
        place(1, "broker:9092", "order"),
        Place { partition: 1, ..here.clone() },
    ];
    for other in &others {
        assert_eq!(span(&sent, other, 0), 0, "{other:?}");
        write(&mut sent, other, 0, &[run(0, 2, 2)]);
    }
    assert_eq!(span(&sent, &here, 0), 1);
    // The number of a network is another one's when all who were in it have ended.
    sent.forget_network(1);
    assert_eq!([span(&sent, &here, 0), span(&sent, &others[0], 0)], [0, 2]);
    assert_eq!((sent.forgotten, sent.run_count()), (4, 1));
}

#[test]
fn a_topic_that_was_made_anew_is_written_over() {
    let (mut sent, here) = (SentMessages::default(), place(1, "broker:9092", "orders"));
    write(&mut sent, &here, 0, &[run(0, 10, 1), run(10, 10, 2), run(20, 10, 3)]);
    write(&mut sent, &here, 5, &[run(0, 10, 4)]);
    let got: Vec<u8> = [0, 4, 5, 14, 15, 19, 20, 29].map(|offset| span(&sent, &here, offset)).into();
    assert_eq!(got, [0, 0, 4, 4, 0, 0, 3, 3]);
}

#[test]
fn the_oldest_are_forgotten() {
    let (mut sent, here) = (SentMessages::default(), place(1, "broker:9092", "orders"));
    for n in 0..10 {
        write(&mut sent, &here, n, &[run(0, 1, 1)]);
    }
    write(&mut sent, &here, 0, &[run(0, 1, 2)]);
    sent.shed(4);
    let got: Vec<u8> = (0..10).map(|offset| span(&sent, &here, offset)).collect();
    // Of the first two, one was written over before.
    assert_eq!(got, [2, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
    assert_eq!(sent.forgotten, 6);
    sent.shed(0);
    assert_eq!((sent.partitions.len(), sent.held_bytes()), (0, 0));
}
