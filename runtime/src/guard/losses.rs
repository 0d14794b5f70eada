//! What the programs counted as lost, said when it grows.

use std::collections::BTreeMap;

use tracing::{debug, warn};

use crate::programs::Counted;

/// Counters as they were said last.
#[derive(Debug, Default)]
pub struct Losses {
    said: BTreeMap<&'static str, u64>,
}

impl Losses {
    /// Says what has grown since the last time, and nothing when nothing has.
    pub fn report(&mut self, now: &[Counted]) {
        let news: Vec<String> = now
            .iter()
            .filter(|counted| counted.is_loss)
            .filter_map(|counted| {
                let before = self.said.insert(counted.name, counted.value).unwrap_or(0);
                (counted.value > before).then(|| format!("{} +{}", counted.name, counted.value - before))
            })
            .collect();
        if !news.is_empty() {
            warn!("{}", news.join(", "));
        }
        debug!("counters: {now:?}");
    }
}
