//! Spans of the older API that are open while others begin where a copy of them lay: such a span is at two addresses, a program may keep one of
//! them only, and Go gives the other's memory away. Each is its own all the same, and each that is lost is counted, once.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::spans::{Received, Value};
use strobe_tests::stage::Stage;

use crate::cases::SCOPE;
use crate::program::NEWEST_OLDER;

/// What a program did.
struct Ran {
    /// Its own spans, by name.
    spans: BTreeMap<String, Received>,
    lost: BTreeMap<String, u64>,
}

impl Ran {
    /// The program does what it has under this name, and ends; so does the agent.
    fn of(what: &str, own: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Self> {
        let own = [own, &[("TRACER", "global"), ("SPANS", what)]].concat();
        let mut stage = Stage::new(&NEWEST_OLDER.build()?, &own, variables)?;
        stage.begin(Duration::from_secs(30))?;
        stage.stop()?;
        let status = stage.agent.wait(Duration::from_secs(20))?;
        ensure!(status.success(), "strobe ended with {status}:\n{}", stage.agent.output());
        let mut received = stage.collector.take()?;
        received.retain(|span| span.scope == SCOPE);
        let count = received.len();
        let named = |received: Received| (received.span.name.clone(), received);
        let spans: BTreeMap<String, Received> = received.into_iter().map(named).collect();
        ensure!(spans.len() == count, "{count} spans, and {} names", spans.len());
        Ok(Self { spans, lost: losses(&stage.agent) })
    }

    /// How many there are whose names begin so.
    fn called(&self, first: &str) -> usize {
        self.spans.keys().filter(|name| name.split(' ').next() == Some(first)).count()
    }

    /// Each has its own attribute, and is below its own parent or, where that is not kept, below none of the others.
    fn are_each_their_own(&self) -> Result<()> {
        let by_id: BTreeMap<&[u8], &str> =
            self.spans.iter().map(|(name, received)| (&received.span.span_id[..], name.as_str())).collect();
        for (name, Received { attributes, span, .. }) in &self.spans {
            let is_own = attributes.get("of") == Some(&Value::Str(name.clone()));
            ensure!(is_own, "{name} has another's attribute: {attributes:?}");
            let parent = by_id.get(&span.parent_span_id[..]).copied();
            ensure!(parent.is_none() || parent == name.strip_prefix("below "), "{name} is below {parent:?}");
        }
        Ok(())
    }
}

/// All that end are there, whatever the program has kept of them meanwhile.
fn all_are_there(way: &str) -> Result<()> {
    const HELD: usize = 400;
    const LATE: usize = 1000;
    let own = [("WAY", way), ("SPANS_HELD", &HELD.to_string()), ("SPANS_LATE", &LATE.to_string())];
    let ran = Ran::of("held", &own, &[])?;
    let counts = ["held", "late", "below"].map(|first| ran.called(first));
    ensure!(counts == [HELD, LATE, LATE], "{counts:?}: {:?}", ran.lost);
    ensure!(ran.lost.is_empty(), "{:?}", ran.lost);
    ran.are_each_their_own()
}

#[test]
fn older_of_which_the_span_alone_is_kept() -> Result<()> {
    all_are_there("span")
}

#[test]
fn older_of_which_the_context_alone_is_kept() -> Result<()> {
    all_are_there("context")
}

#[test]
fn older_of_which_both_are_kept() -> Result<()> {
    all_are_there("both")
}

/// A span that finds no room lies where a copy of another one lay: what is said of it is not said of that.
#[test]
fn older_without_room_are_not_taken_for_others() -> Result<()> {
    for way in ["span", "context"] {
        // A process may have half of the table, and each takes two places.
        let own = [("WAY", way), ("SPANS_HELD", "600"), ("SPANS_LATE", "600")];
        let ran = Ran::of("held", &own, &[("STROBE_MAX_IN_FLIGHT", "1024")])?;
        let lost: u64 = ran.lost.values().sum();
        let no_room = ran.lost.get("otel_global.lost.in_flight_full").copied().unwrap_or(0);
        let exported = ran.spans.len() as u64;
        ensure!(no_room > 0 && ran.called("held") > 0, "{exported} spans, {:?}", ran.lost);
        ran.are_each_their_own()?;
        ensure!(exported + lost == 1800, "{exported} spans, {:?}", ran.lost);
        println!("{way}: {exported} spans, {:?}", ran.lost);
    }
    Ok(())
}

/// Those that a program forgets are counted once each: as another begins where they lay, as there is too much of them, or when the program ends.
#[test]
fn older_that_never_end_are_counted_once() -> Result<()> {
    const DROPPED: u64 = 4000;
    let own = [("SPANS_DROPPED", &*DROPPED.to_string())];
    let ran = Ran::of("dropped", &own, &[("STROBE_BEGUN_BYTES", "1048576")])?;
    let lost: u64 = ran.lost.values().sum();
    ensure!(ran.called("ended") == 200 && ran.spans.len() == 200, "{} spans", ran.spans.len());
    ensure!(lost == DROPPED, "{lost} of {DROPPED}: {:?}", ran.lost);
    let kinds = ["otel_global.lost.never_ended", "otel_global.lost.open_at_exit"];
    ensure!(kinds.iter().all(|kind| ran.lost.contains_key(*kind)), "{:?}", ran.lost);
    println!("{DROPPED} forgotten: {:?}", ran.lost);
    Ok(())
}
