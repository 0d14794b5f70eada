//! Calls that a hook of another call makes on its goroutine. What the outer one got is never the inner one's.

use anyhow::{Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::golang::{self, Build, go};

use super::Stage;
use super::places::Places;

/// Calls of each of the two outer clients: four with an answer, four that the server breaks off.
const EACH: u64 = 8;

fn inner_calls_that_send_nothing(version: &'static str) -> Result<()> {
    let built = golang::build("httpclient", version, Build::Stripped)?;
    let mut stage = Stage::of(&built, Places::of, &[("HOOKS", "1")], &[])?;
    let found = stage.run(1)?;
    ensure!(found.call("behind").len() == 1, "{:?}", found.calls);
    let lost = losses(&stage.agent);
    let mut wrong = Vec::new();
    for call in found.calls.iter().filter(|(name, _)| *name != "behind").flat_map(|(_, calls)| calls) {
        let has = |name: &str| call.attributes.contains_key(name);
        let is_outer = call.attributes.get("url.full").is_some_and(|url| url.to_string().contains("outer-"));
        // An outer one that has its span has its own result.
        if !is_outer && (has("http.response.status_code") || has("error.type")) {
            wrong.push(format!("{:?}", call.attributes));
        }
    }
    let told = lost.get("net_http_client.lost.called_within").copied().unwrap_or_default();
    let spans = found.calls.keys().filter(|name| name.starts_with("outer-")).count() as u64;
    if told + spans < 2 * EACH {
        wrong.push(format!("{spans} outer calls have a span, {told} are counted: {lost:?}"));
    }
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), stage.agent.output());
    stage.stop()
}

#[test]
fn go1_22_inner_calls_that_send_nothing() -> Result<()> {
    inner_calls_that_send_nothing(go(22))
}

#[test]
fn go1_26_inner_calls_that_send_nothing() -> Result<()> {
    inner_calls_that_send_nothing(go(26))
}

#[test]
fn go1_27_inner_calls_that_send_nothing() -> Result<()> {
    inner_calls_that_send_nothing(go(27))
}
