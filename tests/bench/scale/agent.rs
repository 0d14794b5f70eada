//! One agent with its collector, and what it uses and loses between two moments.

use std::{collections::BTreeMap, fmt, process::Command, time::Duration, time::Instant};

use anyhow::{Context as _, Result, ensure};
use strobe_tests::{
    agent::losses,
    collector::Collector,
    process::Running,
    programs,
    spans::{Received, Value},
};

use crate::measure;

/// A running agent and the collector that it exports to.
pub struct Agent {
    /// The agent.
    pub running: Running,
    /// Where its spans go.
    pub collector: Collector,
    since: Instant,
    cpu_ns: u64,
}

/// What the agent used during a case.
#[derive(Debug, Clone, Default)]
pub struct Used {
    /// Processor time of all its threads.
    pub cpu: Duration,
    /// How long that took by the clock.
    pub wall: Duration,
    /// Its resident set at the end.
    pub resident_mib: f64,
    /// What it said that it lost, by counter.
    pub losses: BTreeMap<String, u64>,
}

impl Used {
    /// Share of one processor, in percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.wall.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} s of CPU in {:.1} s ({:.1} % of a core), {:.1} MiB resident, losses: ",
            self.cpu.as_secs_f64(),
            self.wall.as_secs_f64(),
            self.percent(),
            self.resident_mib
        )?;
        if self.losses.is_empty() {
            return f.write_str("none");
        }
        let losses: Vec<String> = self.losses.iter().map(|(name, count)| format!("{name} {count}")).collect();
        f.write_str(&losses.join(", "))
    }
}

impl Agent {
    /// Starts `strobe` with these arguments, exporting to a collector of its own that takes `delay` for each answer.
    pub fn start(args: &[String], delay: Duration) -> Result<Self> {
        let collector = Collector::start()?;
        collector.answer_after(delay);
        let mut command = Command::new(programs::path("strobe")?);
        command.args(args);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()).env("OTEL_TRACES_EXPORTER", "otlp");
        command.env("OTEL_BSP_SCHEDULE_DELAY", "200").env("OTEL_BSP_MAX_QUEUE_SIZE", "131072");
        let running = Running::start(&mut command)?;
        let mut agent = Self { running, collector, since: Instant::now(), cpu_ns: 0 };
        agent.begin()?;
        Ok(agent)
    }

    /// `strobe run --exe` for each of these files.
    pub fn of_files(files: &[&std::path::Path]) -> Result<Self> {
        let mut args = vec!["run".to_owned()];
        for file in files {
            args.extend(["--exe".to_owned(), file.to_string_lossy().into_owned()]);
        }
        Self::start(&args, Duration::ZERO)
    }

    /// Waits until `count` processes in all are traced.
    pub fn traces(&self, count: usize, limit: Duration) -> Result<()> {
        let found = self.running.stderr.wait_for("tracing pid", count.saturating_sub(1), limit);
        found.with_context(|| {
            let traced = self.running.stderr.all().iter().filter(|l| l.contains("tracing pid")).count();
            format!("{traced} of {count} processes are traced after {limit:?}:\n{}", tail(&self.running))
        })?;
        Ok(())
    }

    /// From now on counts what is used.
    pub fn begin(&mut self) -> Result<()> {
        self.since = Instant::now();
        self.cpu_ns = measure::cpu_ns(self.running.pid())?;
        Ok(())
    }

    /// What has been used since [`Self::begin`], losses aside: those are known when the agent has ended.
    pub fn used(&self) -> Result<Used> {
        let pid = self.running.pid();
        let cpu_ns = measure::cpu_ns(pid)?.saturating_sub(self.cpu_ns);
        Ok(Used {
            cpu: Duration::from_nanos(cpu_ns),
            wall: self.since.elapsed(),
            resident_mib: measure::resident_kib(pid)? as f64 / 1024.0,
            losses: BTreeMap::new(),
        })
    }

    /// Waits for `due` spans and gives what came.
    pub fn spans(&self, due: usize, limit: Duration) -> Result<Vec<Received>> {
        self.collector.wait_for(due, limit);
        self.collector.take()
    }

    /// Ends the agent; adds its losses to what it used, and gives spans that came at the very end.
    pub fn finish(mut self, mut used: Used) -> Result<(Used, Vec<Received>)> {
        let status = self.running.terminate()?;
        ensure!(status.success(), "the agent ended with {status}:\n{}", tail(&self.running));
        for (name, more) in losses(&self.running) {
            *used.losses.entry(name).or_insert(0) += more;
        }
        Ok((used, self.collector.take()?))
    }
}

/// The last lines of what the agent said.
pub fn tail(running: &Running) -> String {
    let lines = running.stderr.all();
    lines.iter().skip(lines.len().saturating_sub(12)).cloned().collect::<Vec<_>>().join("\n")
}

/// A span's attribute as text; empty if it has none of that name.
pub fn text<'a>(span: &'a Received, name: &str) -> &'a str {
    match span.attributes.get(name) {
        Some(Value::Str(text)) => text,
        _ => "",
    }
}
