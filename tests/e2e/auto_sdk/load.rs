//! Many spans, and spans that never end.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::stage::Stage;

use crate::cases;

/// Many at once, and none is lost, or below another's.
pub fn many_at_once(built: &Path, own: &[(&str, &str)]) -> Result<()> {
    const GOROUTINES: usize = 64;
    let pairs = std::env::var("STROBE_SPANS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
        / GOROUTINES
        / 2;
    let pairs_text = pairs.to_string();
    // 64 goroutines with two spans each 10 ms: 12,800 in a second. In a tight loop the application would have the two cores of a small machine, and
    // the agent none.
    let own = [own, &[("SPAN_PAIRS", pairs_text.as_str()), ("SPAN_PAUSE", "10")]].concat();
    let mut stage = Stage::new(built, &own, &[])?;
    let due = 2 * pairs * GOROUTINES;
    let mut spans = stage.run_for(due + 1, Duration::from_secs(120))?;
    spans.retain(|span| span.scope == cases::SCOPE);
    let by_name: BTreeMap<&str, _> = spans.iter().map(|span| (span.span.name.as_str(), &span.span)).collect();
    let lost = losses(&stage.agent);
    ensure!(spans.len() == due && by_name.len() == due, "{} of {due} spans, lost: {lost:?}", spans.len());
    for (name, span) in &by_name {
        let parent = name.strip_prefix("inner ").map(|id| by_name.get(format!("outer {id}").as_str()));
        let is_right = match parent {
            None => span.parent_span_id.is_empty(),
            Some(outer) => outer
                .is_some_and(|outer| outer.span_id == span.parent_span_id && outer.trace_id == span.trace_id),
        };
        ensure!(is_right, "{name}: {span:?}");
    }
    ensure!(lost.is_empty(), "{lost:?}");
    println!("{due} spans, each its own");
    stage.stop()
}

/// Those that never end give way, the oldest first, and those that come behind them are all there.
pub fn never_ended(built: &Path, own: &[(&str, &str)]) -> Result<()> {
    const FORGOTTEN: usize = 2_000;
    const PAIRS: usize = 64;
    let forgotten = FORGOTTEN.to_string();
    let own = [own, &[("SPANS_FORGOTTEN", &forgotten), ("SPAN_PAIRS", "1")]].concat();
    // A process may have half of them.
    let mut stage = Stage::new(built, &own, &[("STROBE_MAX_IN_FLIGHT", "2048")])?;
    let mut spans = stage.run_for(2 * PAIRS + 10 + 1, Duration::from_secs(60))?;
    spans.retain(|span| span.scope == cases::SCOPE);
    let lost = losses(&stage.agent);
    let gave_way = lost
        .iter()
        .filter_map(|(name, count)| name.ends_with(".lost.gave_way").then_some(*count))
        .sum::<u64>();
    // The ten that are ended in time are the youngest.
    let ended: Vec<&str> =
        spans.iter().filter_map(|span| span.span.name.strip_prefix("forgotten ")).collect();
    let is_young = |number: &&str| number.parse().is_ok_and(|number: usize| number >= FORGOTTEN - 10);
    ensure!(ended.len() == 10 && ended.iter().all(is_young), "{ended:?}: {lost:?}");
    ensure!(spans.len() == 2 * PAIRS + 10, "{} spans: {lost:?}", spans.len());
    // What has given way is not open any more, whoever has it at two addresses has half the room. Whoever has told the agent of its beginnings is said
    // to have left the rest open.
    let is_due = |name: &String| name.ends_with(".lost.gave_way") || name == "otel_global.lost.open_at_exit";
    let is_counted = (1_000..2_000).contains(&gave_way) && lost.keys().all(is_due);
    ensure!(is_counted, "{lost:?}:\n{}", stage.agent.output());
    println!("{gave_way} of {FORGOTTEN} gave way");
    stage.stop()
}
