//! All that is measured of one service: what it costs and what is added, helper calls, probe hits.

use std::{ops::RangeInclusive, time::Duration};

use analyzer::plan::Cost;
use anyhow::{Result, ensure};

use crate::modes::{AgentUse, Bench, Drive, Hits, Service, Turn};

/// How many requests helper calls and probe hits are counted over.
pub const COUNTED: usize = 2_000;
/// Hits that belong to no request of those counted: a connection's end, a client's first look for one.
const SLACK: u64 = 20;

/// What was measured.
pub struct Figures {
    pub turns: Vec<Turn>,
    pub agent: AgentUse,
    /// An error: this kernel does not let them be counted.
    pub calls: Result<Vec<(&'static str, u64)>>,
    pub hits: Hits,
    /// The functions with a probe that is not emulated.
    pub stepped: Vec<String>,
    /// What the agent says that it lost.
    pub losses: Vec<String>,
}

impl Figures {
    /// Starts the service three times and measures so many turns of it, or those that begin within `limit`.
    pub fn of<D: Drive>(
        service: &Service<'_>,
        turns: usize,
        limit: Option<Duration>,
        work: &D::Work,
    ) -> Result<Self> {
        let mut bench = Bench::<D>::start(service, work)?;
        let (turns, agent) = bench.run(turns, limit, work)?;
        let calls = bench.calls(COUNTED, work);
        let hits = bench.hits(COUNTED, work)?;
        let floor_hits = bench.floor_hits(COUNTED, work)?;
        ensure!(
            floor_hits.abs_diff(hits.total()) <= SLACK,
            "{COUNTED} operations hit the floor {floor_hits} times and strobe {}: they are not at the same sites",
            hits.total()
        );
        let stepped = bench.sites.iter().filter(|(_, site)| site.cost != Cost::Emulated);
        let stepped = stepped.map(|(function, _)| function.clone()).collect();
        let losses = bench.finish()?;
        Ok(Self { turns, agent, calls, hits, stepped, losses })
    }

    /// Whether a request hits so many probes, each of them emulated. Says so if not.
    pub fn is_within(&self, name: &str, hits: &RangeInclusive<u64>) -> bool {
        let counted = COUNTED as u64;
        let allowed = (hits.start() * counted).saturating_sub(SLACK)..=hits.end() * counted + SLACK;
        let is_met = allowed.contains(&self.hits.total()) && self.stepped.is_empty();
        if !is_met {
            println!(
                "MISSED: {name}: {} to {} hits, none single-stepped; there were {:.3}, single-stepped: {:?}",
                hits.start(),
                hits.end(),
                self.hits.per_request(),
                self.stepped
            );
        }
        is_met
    }
}
