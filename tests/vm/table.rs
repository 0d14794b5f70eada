//! What is printed: a line per run as it ends, the table kernel × case, and every failure with what it said.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::runs::Outcome;

/// One line of `--json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    run: &'a str,
    arch: &'a str,
    kernel: &'a str,
    case: &'a str,
    passed: bool,
    seconds: f64,
    detail: &'a str,
}

/// Says that a run has ended: for people on stderr, by `--json` its cases on stdout.
pub fn progress(outcome: &Outcome, json: bool) -> Result<()> {
    let failed = outcome.verdicts.iter().filter(|v| !v.passed).count();
    let cases = outcome.verdicts.len();
    eprintln!(
        "vm: {} ({}): {} of {cases} cases passed in {:.0} s",
        outcome.run,
        outcome.kernel,
        cases - failed,
        outcome.seconds
    );
    if !json {
        return Ok(());
    }
    for verdict in &outcome.verdicts {
        let line = Line {
            run: &outcome.run,
            arch: outcome.arch.name(),
            kernel: &outcome.kernel,
            case: &verdict.case,
            passed: verdict.passed,
            seconds: verdict.seconds,
            detail: &verdict.detail,
        };
        println!("{}", serde_json::to_string(&line)?);
    }
    Ok(())
}

/// The table, and below it what the programs cost the verifier and why cases failed.
pub fn render(outcomes: &[Outcome]) -> String {
    let mut cases: Vec<&str> = Vec::new();
    for verdict in outcomes.iter().flat_map(|outcome| &outcome.verdicts) {
        if !cases.contains(&verdict.case.as_str()) {
            cases.push(&verdict.case);
        }
    }
    let mut out = String::new();
    let first = outcomes.iter().map(|o| o.run.len()).max().unwrap_or(0).max("run".len());
    let second = outcomes.iter().map(|o| o.kernel.len()).max().unwrap_or(0).max("kernel".len());
    let mut header = format!("{:first$}  {:second$}", "run", "kernel");
    for case in &cases {
        header += &format!("  {case}");
    }
    let _ = writeln!(out, "{header}");
    for outcome in outcomes {
        let _ = write!(out, "{:first$}  {:second$}", outcome.run, outcome.kernel);
        for case in &cases {
            let cell = outcome.verdicts.iter().find(|v| v.case == *case).map_or(String::new(), |v| {
                if v.passed { format!("{:.0} s", v.seconds) } else { "FAIL".to_owned() }
            });
            let _ = write!(out, "  {cell:>width$}", width = case.len());
        }
        out.push('\n');
    }
    out + &details(outcomes)
}

fn details(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    for outcome in outcomes {
        for verdict in &outcome.verdicts {
            if verdict.passed && verdict.case == "load" {
                let _ = writeln!(out, "\n{}: verified instructions: {}", outcome.run, verdict.detail);
            }
        }
        for verdict in outcome.verdicts.iter().filter(|v| !v.passed) {
            let _ =
                writeln!(out, "\n{}: {} FAILED: {}", outcome.run, verdict.case, shortened(&verdict.detail));
        }
        if let Some(log) = &outcome.log {
            let _ = writeln!(out, "{}: the console's log is {}", outcome.run, log.display());
        }
    }
    out
}

/// Both ends of a long text (the verifier says what it did on thousands of lines), each line of a width that a person reads.
/// The whole of it is in the console's log and in `--json`.
fn shortened(text: &str) -> String {
    const LINES: usize = 12;
    const COLUMNS: usize = 240;
    let lines: Vec<String> = text.lines().map(|line| line.chars().take(COLUMNS).collect()).collect();
    match (lines.get(..LINES), lines.len().checked_sub(LINES).and_then(|from| lines.get(from..))) {
        (Some(first), Some(last)) if lines.len() > 2 * LINES => {
            let between = lines.len() - 2 * LINES;
            format!("{}\n[… {between} lines]\n{}", first.join("\n"), last.join("\n"))
        }
        _ => lines.join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use crate::verdict::Verdict;

    fn outcome(run: &str, verdicts: &[(&str, bool)]) -> Outcome {
        let verdict = |(case, passed): &(&str, bool)| Verdict {
            case: (*case).to_owned(),
            passed: *passed,
            seconds: 2.4,
            detail: (0..40).map(|i| format!("line {i}\n")).collect(),
        };
        Outcome {
            run: run.to_owned(),
            arch: Arch::Amd64,
            kernel: "5.10.223-1".to_owned(),
            verdicts: verdicts.iter().map(verdict).collect(),
            log: None,
            seconds: 9.0,
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_run_and_says_why_cases_failed() {
        let text = render(&[
            outcome("one", &[("exec", true)]),
            outcome("two", &[("exec", true), ("overlay", false)]),
        ]);
        let rows: Vec<&str> = text.lines().take(3).map(str::trim_end).collect();
        assert_eq!(
            rows,
            ["run  kernel      exec  overlay", "one  5.10.223-1   2 s", "two  5.10.223-1   2 s     FAIL"]
        );
        assert!(text.contains("two: overlay FAILED: line 0") && text.contains("line 39"), "{text}");
        assert!(text.contains("[… 16 lines]") && !text.contains("line 20"), "{text}");
    }
}
