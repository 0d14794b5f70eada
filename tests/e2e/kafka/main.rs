//! A Go program that writes to Apache Kafka and reads from it by segmentio/kafka-go, stripped, under the real agent. What its spans have to
//! look like is in `cases`.

mod broker;
mod cases;
mod stage;

use anyhow::{Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;

use stage::Stage;

const FILES: &[(&str, &str)] = &[("main.go", include_str!("../../apps/kafkago/main.go"))];
const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// Builds the program and holds its spans against what is due.
fn writes_and_reads(version: &str, kafka: &str) -> Result<()> {
    let args = &["-ldflags=-s -w"];
    let modules = &[("github.com/segmentio/kafka-go", kafka)];
    let built = Recipe { version, arch: HOST, mode: "exe", args, files: FILES, modules }.build()?;
    let broker = broker::start()?;
    let mut stage = Stage::new(&built, &broker.address)?;
    let spans = stage.run(cases::due_count())?;
    let mut wrong = cases::compare(&spans, &broker.address);
    let lost = losses(&stage.agent);
    if !lost.is_empty() {
        wrong.push(format!("lost: {lost:?}"));
    }
    ensure!(wrong.is_empty(), "Go {version}: {}\n{}", wrong.join("\n"), stage.agent.output());
    stage.stop()
}

macro_rules! versions {
    ($($name:ident: $go:expr, $kafka:literal;)+) => { $(
        #[test]
        fn $name() -> Result<()> { writes_and_reads($go, $kafka) }
    )+ };
}

versions! {
    go1_26_v0_4_51: go(26), "v0.4.51";
}
