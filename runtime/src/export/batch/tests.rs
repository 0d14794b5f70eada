use super::*;
use crate::export::tests::resource;

fn queue(queue_spans: usize, batch_spans: usize, delay_ms: u64) -> Queue {
    let delay = Duration::from_millis(delay_ms);
    Queue::new(&Batch { delay, export_timeout: Duration::ZERO, queue_spans, batch_spans, concurrent: 1 })
}

async fn batches(queue: &Queue) -> Vec<Vec<Item>> {
    queue.close();
    let mut batches = Vec::new();
    while let Some(batch) = queue.next_batch().await {
        batches.push(batch);
    }
    batches
}

/// A resource of about this many bytes.
fn sized(bytes: usize) -> Arc<Resource> {
    let mut resource = Resource::clone(&resource("sized"));
    resource.encoded.resize(bytes, 0);
    Arc::new(resource)
}

fn item_of(resource: &Arc<Resource>, bytes: usize) -> Item {
    Item { resource: Arc::clone(resource), scope: Scope::Library("x"), bytes: vec![0; bytes].into() }
}

fn item(bytes: usize) -> Item {
    Item { resource: resource("s"), scope: Scope::Library("x"), bytes: vec![0; bytes].into() }
}

#[tokio::test]
async fn full_batches_leave_at_once_and_the_rest_after_the_delay() {
    let queue = queue(10, 3, 50);
    let begin = Instant::now();
    assert!((0..4).all(|_| queue.push(item(1)).is_ok()));
    assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(3));
    assert!(begin.elapsed() < Duration::from_millis(40));
    assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(1));
    assert!(begin.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_full_queue_refuses_the_new_span() {
    let queue = queue(2, 2, 1_000);
    assert_eq!([0, 1, 2].map(|_| queue.push(item(1))), [Ok(()), Ok(()), Err(Refused::Spans(2))]);
    assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(2));
    assert_eq!(queue.push(item(1)), Ok(()));
}

#[tokio::test]
async fn closing_flushes_and_ends() {
    let queue = queue(10, 5, 60_000);
    assert!((0..7).all(|_| queue.push(item(1)).is_ok()));
    queue.close();
    assert_eq!(queue.push(item(1)), Err(Refused::Closed));
    assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(5));
    assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(2));
    assert!(queue.next_batch().await.is_none());
}

#[tokio::test]
async fn batches_are_limited_in_bytes() {
    let queue = queue(10, 10, 0);
    for bytes in [2 << 20, 1 << 20, 1, 4 << 20, 1] {
        assert_eq!(queue.push(item(bytes)), Ok(()));
    }
    let sizes: Vec<usize> = batches(&queue).await.iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 2, 1, 1]);
}

#[tokio::test]
async fn resources_count_once_for_each_batch() {
    let queue = queue(200, 200, 0);
    let resources: Vec<_> = (0..100).map(|_| sized(60 << 10)).collect();
    for resource in resources.iter().flat_map(|resource| [resource, resource]) {
        assert_eq!(queue.push(item_of(resource, 1)), Ok(()));
    }
    let batches = batches(&queue).await;
    assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 200);
    // 51 resources of 60 KiB fit into 3 MiB, with both spans of each.
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [102, 98]);
}

#[tokio::test]
async fn a_process_with_a_large_resource_shares_no_request() {
    let queue = queue(100, 100, 0);
    let (large, other, usual) = (sized(200 << 10), sized(300 << 10), sized(100));
    for _ in 0..10 {
        for resource in [&usual, &large, &other] {
            assert_eq!(queue.push(item_of(resource, 10)), Ok(()));
        }
    }
    let batches = batches(&queue).await;
    assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 10]);
    for batch in batches {
        assert!(batch.iter().all(|item| Arc::ptr_eq(&item.resource, &batch[0].resource)));
    }
}

#[tokio::test]
async fn what_a_collector_found_too_large_makes_batches_smaller_to_a_least() {
    let queue = queue(10, 10, 0);
    queue.cut_below(256 << 10);
    for _ in 0..4 {
        assert_eq!(queue.push(item(60 << 10)), Ok(()));
    }
    assert_eq!(queue.next_batch().await.map(|batch| batch.len()), Some(2));
    queue.cut_below(1);
    assert_eq!(queue.push(item(1)), Ok(()));
    // The last one is not large, and waits elsewhere.
    assert_eq!(batches(&queue).await.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test]
async fn large_spans_leave_half_of_the_queue_to_the_others() {
    let queue = queue(8_000, 2, 0);
    let large = LARGE_SPAN_BYTES + 1;
    let pushed = (0..8_000).filter(|_| queue.push(item(large)).is_ok()).count();
    assert_eq!(pushed, MAX_QUEUE_BYTES / 2 / large);
    assert_eq!(queue.push(item(large)), Err(Refused::Bytes(MAX_QUEUE_BYTES / 2)));
    let others = 8_000 - pushed;
    assert!((0..others).all(|_| queue.push(item(1)).is_ok()));
    assert_eq!(queue.push(item(large)), Err(Refused::Spans(4_000)));
    assert_eq!(queue.push(item(1)), Err(Refused::Spans(8_000)));
    // Nobody waits behind all of the large ones.
    let first = [queue.next_batch().await, queue.next_batch().await];
    assert!(first.iter().flatten().flatten().any(|item| item.bytes.len() == 1));
}

#[tokio::test]
async fn the_queue_is_bounded_in_bytes() {
    let queue = queue(1_000_000, 100, 60_000);
    let pushed = (0..10_000).filter(|_| queue.push(item(16 << 10)).is_ok()).count();
    assert_eq!(pushed, 4_096);
    assert!(queue.next_batch().await.is_some());
    assert_eq!(queue.push(item(16 << 10)), Ok(()));
}

#[tokio::test]
async fn a_waiting_consumer_wakes_up() {
    let queue = Arc::new(queue(10, 2, 60_000));
    let consumer = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.next_batch().await }
    });
    tokio::task::yield_now().await;
    assert_eq!(queue.push(item(1)), Ok(()));
    tokio::task::yield_now().await;
    assert_eq!(queue.push(item(1)), Ok(()));
    let batch = tokio::time::timeout(Duration::from_secs(5), consumer).await.expect("woken").expect("joined");
    assert_eq!(batch.map(|batch| batch.len()), Some(2));
}
