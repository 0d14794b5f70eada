//! The W3C's cases of `traceparent` and `tracestate`, sent to a real server: what the programs read of them, whichever way they take.

use anyhow::{Result, ensure};
use strobe_tests::trace_context::{Case, cases};

use super::exchange::Exchange;

/// A request for each case.
pub fn over_http1() -> Result<Vec<Exchange>> {
    let cases = cases()?;
    ensure!(cases.len() > 100, "{} cases are too few", cases.len());
    Ok(cases.iter().map(exchange).collect())
}

/// The same as far as HTTP/2 can say it: a value has no blanks around it there (RFC 9113, 8.2.1).
pub fn over_http2() -> Result<Vec<Exchange>> {
    let mut cases = cases()?;
    cases.retain(|case| case.headers.iter().all(|(_, value)| value.trim() == value));
    ensure!(cases.len() > 85, "{} cases are too few", cases.len());
    Ok(cases.iter().map(exchange).collect())
}

fn exchange(case: &Case) -> Exchange {
    let begun = Exchange::get("/raw/parent");
    let sent = case.headers.iter().fold(begun, |e, (name, value)| match case.remote() {
        Some((trace, span, flags)) if name.eq_ignore_ascii_case("traceparent") => {
            e.parent_header(name, value, trace, span, flags)
        }
        _ => e.header(name, value),
    });
    if case.list.is_empty() { sent } else { sent.has_trace_state(&case.list) }
}
