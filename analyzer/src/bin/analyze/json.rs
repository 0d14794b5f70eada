//! A file's line of JSON: its Plan, or what is wrong with it. Both have the same keys, so that a filter which is written for
//! Plans (`.libraries[]`) runs over a file that has none.

use analyzer::Error;
use analyzer::plan::{BuildId, Plan, SCHEMA_VERSION};
use serde::Serialize;

use crate::outcome::Outcome;

#[derive(Debug, Serialize)]
struct Planned<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    error: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct Failed<'a> {
    schema_version: u32,
    tool_version: &'static str,
    database: &'a str,
    file: &'a str,
    arch: Option<()>,
    go_version: Option<()>,
    build_id: BuildId,
    debug_file: Option<()>,
    types_vaddr: Option<()>,
    modules: [(); 0],
    libraries: [(); 0],
    error: Option<Failure>,
}

/// Why there is no Plan.
#[derive(Debug, Serialize)]
struct Failure {
    code: &'static str,
    message: String,
    remedy: &'static str,
}

/// The line of one file.
pub fn line(outcome: &Outcome) -> serde_json::Result<String> {
    match &outcome.result {
        Ok(plan) => serde_json::to_string(&Planned { plan, error: None }),
        Err(error) => failed(error),
    }
}

/// The line of a file of which no Plan could be made.
pub fn failed(error: &Error) -> serde_json::Result<String> {
    let Error { file, kind } = error;
    let failure = Failure { code: kind.word(), message: kind.to_string(), remedy: kind.remedy() };
    serde_json::to_string(&Failed {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION"),
        database: offsets::Database::embedded().digest(),
        file,
        arch: None,
        go_version: None,
        build_id: BuildId::default(),
        debug_file: None,
        types_vaddr: None,
        modules: [],
        libraries: [],
        error: Some(failure),
    })
}
