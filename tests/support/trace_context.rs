//! The cases of the W3C's test suite for Trace Context that concern reading, as data: `trace_context.json` says what they are.

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Suite {
    cases: Vec<Case>,
}

/// A request's headers, and what is to be read in them.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// What it is about.
    pub test: String,
    /// In this order.
    pub headers: Vec<(String, String)>,
    /// Trace id, parent id and flags; `None` where a new trace is to begin.
    pub parent: Option<String>,
    /// The `tracestate` that goes on; empty where there is none.
    pub list: String,
}

/// The cases.
pub fn cases() -> Result<Vec<Case>> {
    let suite: Suite =
        serde_json::from_str(include_str!("trace_context.json")).context("trace_context.json")?;
    Ok(suite.cases)
}

impl Case {
    /// The parent's trace id, span id and flags.
    pub fn remote(&self) -> Option<(&str, &str, u8)> {
        let (trace, rest) = self.parent.as_deref()?.split_once('-')?;
        let (span, flags) = rest.split_once('-')?;
        Some((trace, span, u8::from_str_radix(flags, 16).ok()?))
    }
}
