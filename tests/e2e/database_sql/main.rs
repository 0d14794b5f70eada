//! A Go program that asks databases, stripped, under the real agent: each of its operations that reaches a driver is one span, with the
//! parent that is due. One test per Go version, so that a failure names it. What the spans of its own drivers have to look like is in
//! `cases`; real databases are in `sqlite` and `servers`.

mod cases;
mod load;
mod lone;
mod seen;
mod servers;
mod sqlite;

use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::golang::{self, Build};

use strobe_tests::stage::Stage;

macro_rules! go_versions {
    ($($name:ident = $minor:literal,)+) => { $(
        mod $name {
            use super::*;

            #[test]
            fn operations_and_their_parents_of_a_running_program() -> Result<()> { by_pid(golang::go($minor)) }
        }
    )+ };
}

go_versions! {
    go1_19 = 19,
    go1_22 = 22,
    go1_24 = 24,
    go1_26 = 26,
    go1_27 = 27,
}

fn by_pid(version: &str) -> Result<()> {
    cases_of(&golang::build("databasesql", version, Build::Stripped)?, version)
}

/// Runs all cases in a program that is built, and holds the spans against what is due.
fn cases_of(built: &Path, version: &str) -> Result<()> {
    let mut stage = Stage::new(built, &[], &[])?;
    let spans = stage.run(cases::due_count())?;
    let mut wrong = cases::compare(golang::minor(version), &spans);
    let lost = losses(&stage.agent);
    if !lost.is_empty() {
        wrong.push(format!("lost: {lost:?}"));
    }
    ensure!(wrong.is_empty(), "Go {version}: {}\n{}", wrong.join("\n"), stage.agent.output());
    stage.stop()
}

/// No span has a statement's text unless it is asked for; then it has no literal in it.
#[test]
fn the_text_of_statements_is_off_unless_it_is_asked_for() -> Result<()> {
    let built = golang::build("databasesql", golang::go(26), Build::Stripped)?;
    for (asked, due) in [("false", None), ("true", Some("INSERT INTO ok_exec VALUES (?, ?)"))] {
        let mut stage = Stage::new(&built, &[], &[("OTEL_GO_AUTO_INCLUDE_DB_STATEMENT", asked)])?;
        let spans = stage.run(cases::due_count())?;
        let of_exec = spans.iter().find(|span| span.span.name == "INSERT ok_exec");
        let text = of_exec.and_then(|span| seen::text(span, "db.query.text"));
        ensure!(text == due, "{asked}: {text:?}");
        let shown = format!("{spans:?}");
        ensure!(!shown.contains("secret"), "{asked}: a literal is shown");
        stage.stop()?;
    }
    Ok(())
}

/// The kernel's times are CLOCK_MONOTONIC's, which stands still while a machine sleeps. Here CLOCK_BOOTTIME is a day ahead of it.
#[test]
fn times_are_right_on_a_machine_that_has_slept() -> Result<()> {
    let built = golang::build("databasesql", golang::go(26), Build::Stripped)?;
    let starter = ["unshare", "--time", "--boottime", "86400"];
    let now_ns = || Ok::<_, anyhow::Error>(UNIX_EPOCH.elapsed()?.as_nanos() as u64);
    let begin = now_ns()?;
    let mut stage = Stage::under(&starter, &built, &[], &[], &[])?;
    let spans = stage.run(cases::due_count())?;
    let end = now_ns()?;
    ensure!(spans.len() >= cases::due_count(), "{} spans\n{}", spans.len(), stage.agent.output());
    for span in spans.iter().map(|span| &span.span) {
        let times = [begin, span.start_time_unix_nano, span.end_time_unix_nano, end];
        ensure!(times.is_sorted(), "{}: {times:?}", span.name);
    }
    stage.stop()
}

/// The library has a switch of its own.
#[test]
fn databases_can_be_switched_off() -> Result<()> {
    let built = golang::build("databasesql", golang::go(26), Build::Stripped)?;
    let off = [("OTEL_GO_AUTO_TRACES_DATABASE_SQL_INSTRUMENTATION_ENABLED", "false")];
    let mut stage = Stage::new(&built, &[], &off)?;
    let spans = stage.run(1)?;
    ensure!(!spans.is_empty() && spans.iter().all(|span| span.scope != seen::SCOPE), "{spans:?}");
    stage.stop()
}
