//! How much leaves the agent: 20,000 spans a second to a collector whose every answer takes 100 ms. The figures are printed.

use super::collector::{Collector, Nature};
use super::*;

const SPANS_PER_SECOND: u64 = 20_000;
const SECONDS: u64 = 5;

/// Processor time of this process so far.
fn cpu() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: getrusage fills the whole struct where it returns 0, and RUSAGE_SELF always exists.
    let usage = unsafe {
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), 0);
        usage.assume_init()
    };
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Pushes as the record ring brings them: what has come due, every 100 ms.
fn push_at_rate(pipeline: &Pipeline) {
    let processes: Vec<_> = (0..20).map(|n| resource(&format!("service-{n}"))).collect();
    let span = span("GET /users/{id}");
    let (begin, mut pushed) = (Instant::now(), 0);
    while pushed < SPANS_PER_SECOND * SECONDS {
        let due = begin.elapsed().as_secs_f64() * SPANS_PER_SECOND as f64;
        while (pushed as f64) < due && pushed < SPANS_PER_SECOND * SECONDS {
            pipeline.push(&span, &processes[pushed as usize % processes.len()]);
            pushed += 1;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn twenty_thousand_spans_a_second_at_a_round_trip_of_100_ms() {
    let nature = Nature { latency: Duration::from_millis(100), blind: true, ..Nature::default() };
    let collector = Collector::start_as(nature).await;
    let pipeline = start(collector.port, &[]);
    let (begin, cpu_before) = (Instant::now(), cpu());
    let pipeline = tokio::task::spawn_blocking(move || {
        push_at_rate(&pipeline);
        pipeline
    });
    let stats = end(pipeline.await.expect("pushes"), PATIENCE).await;
    let (took, used) = (begin.elapsed(), cpu() - cpu_before);
    eprintln!(
        "{} spans in {took:.1?}: {:.0} spans/s, {} lost, {} requests, {} connections, {:.1} us of CPU per span (collector included)",
        stats.exported,
        stats.exported as f64 / took.as_secs_f64(),
        stats.dropped(),
        stats.requests,
        collector.connections(),
        used.as_secs_f64() * 1e6 / stats.exported as f64,
    );
    assert_eq!((stats.exported, stats.dropped()), (SPANS_PER_SECOND * SECONDS, 0), "{stats}");
    assert!(took < Duration::from_secs(SECONDS + 3), "{took:?}");
}
