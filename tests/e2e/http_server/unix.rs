//! Requests over a Unix socket, whose clients have no address: the spans are those of TCP, without a peer.

use std::process::Command;

use anyhow::{Result, ensure};
use strobe_tests::golang::Build;
use strobe_tests::process::Running;

use super::harness::{Bench, SERVICE, Service, losses};
use super::socket::{ask, exchanges};

pub fn over_a_socket(version: &'static str) -> Result<()> {
    let bench = Bench::new(version, Build::Stripped)?;
    let socket = bench.folder.path().join("socket");
    let mut command = Command::new(&bench.app);
    command.args(["-tls", "-unix"]).arg(&socket).env("OTEL_SERVICE_NAME", SERVICE);
    let mut service = Service::started(Running::start(&mut command)?, 0)?;
    let mut agent = bench.trace_pid(&service)?;
    let due = ask(&socket, exchanges(bench.minor()))?;
    bench.settle(&mut agent, &due)?;
    let counted = losses(&agent);
    ensure!(counted.is_empty(), "counted {counted:?}:\n{}", agent.output());
    service.stop()
}
