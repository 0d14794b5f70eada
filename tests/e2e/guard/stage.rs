//! What the tests have in common: a folder with copies of a small service, a collector, an agent.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use strobe_tests::agent::{strobe, tracing};
use strobe_tests::client::Connection;
use strobe_tests::collector::Collector;
use strobe_tests::golang::{self, Build, go};
use strobe_tests::process::Running;
use strobe_tests::{machine, programs};

/// The Go version of the service, and of the program that it is overwritten with: both have probes at other places.
const VERSION: &str = go(26);
const OTHER_VERSION: &str = go(22);

pub struct Stage {
    pub folder: tempfile::TempDir,
    pub app: PathBuf,
    pub collector: Collector,
}

/// A running copy of the service.
pub struct Service {
    pub running: Running,
    pub address: SocketAddr,
}

impl Stage {
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir().context("a folder for the test")?;
        let app = folder.path().join("again");
        let stage = Self { app, folder, collector: Collector::start()? };
        machine::require_probes()?;
        programs::path("strobe")?;
        stage.copy(&stage.app)?;
        Ok(stage)
    }

    /// Puts a copy of the service there.
    pub fn copy(&self, to: &Path) -> Result<()> {
        machine::copy_program(&golang::build("again", VERSION, Build::Stripped)?, to)
    }

    /// Another file of this name in the folder, with a copy of the service.
    pub fn another(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        self.copy(&path)?;
        Ok(path)
    }

    /// The agent on all processes of these files.
    pub fn agent(&self, files: &[&Path]) -> Result<Running> {
        let mut command = strobe(&["run"])?;
        for file in files {
            command.arg("--exe").arg(file);
        }
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.endpoint())
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_BSP_SCHEDULE_DELAY", "200");
        Running::start(&mut command)
    }

    /// The agent on the service's file, ready for its start.
    pub fn waiting_agent(&self) -> Result<Running> {
        let agent = self.agent(&[&self.app])?;
        agent.expect_stderr("waiting for a process", 0)?;
        Ok(agent)
    }

    /// Overwrites the file in place with another program and starts that: unharmed, it answers.
    pub fn overwrite_and_serve(&self, file: &Path) -> Result<()> {
        let began = Instant::now();
        machine::copy_program(&golang::build("again", OTHER_VERSION, Build::Stripped)?, file)?;
        ensure!(began.elapsed() < Duration::from_secs(10), "overwriting waited {:?}", began.elapsed());
        let mut service = Service::start(file)?;
        service.is_unprobed(file)?;
        for _ in 0..5 {
            let answer = service.get("/");
            answer.with_context(|| {
                format!("the program that was written there: {}", service.running.output())
            })?;
        }
        service.kill()
    }

    /// Waits for so many spans and no more; their process ids.
    pub fn spans(&self, count: usize) -> Result<usize> {
        self.collector.wait_for(count, Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(500));
        Ok(self.collector.take()?.len())
    }
}

impl Service {
    pub fn start(file: &Path) -> Result<Self> {
        Self::started(Command::new(file))
    }

    /// Waits until it listens.
    pub fn started(mut command: Command) -> Result<Self> {
        let running = Running::start(&mut command)?;
        let line = running.expect_stdout("listening on", 0)?;
        let address = line.rsplit(' ').next().unwrap_or_default().parse().context("the service's address")?;
        Ok(Self { running, address })
    }

    /// Waits until the agent traces it.
    pub fn traced_by(&self, agent: &Running) -> Result<()> {
        agent.expect_stderr(&tracing(self.running.pid()), 0).map(drop)
    }

    /// Its code in memory is its file's: where a probe is left, there is a breakpoint. At its own sites the agent may have put
    /// new ones already.
    fn is_unprobed(&self, file: &Path) -> Result<()> {
        let pid = self.running.pid();
        let plan = analyzer::plan_file(file, &analyzer::Options::default(), &[])?;
        let functions = plan.libraries.iter().flat_map(|library| &library.functions);
        let own: Vec<u64> = functions.flat_map(|f| f.sites.iter().map(|site| site.file_offset)).collect();
        let bytes = std::fs::read(file)?;
        let memory = File::open(format!("/proc/{pid}/mem"))?;
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let name = file.to_str().context("path")?;
        let mut compared = 0;
        for line in maps.lines().filter(|line| line.contains(" r-xp ") && line.ends_with(name)) {
            let (range, rest) = line.split_once(" r-xp ").context("a line of maps")?;
            let (start, end) = range.split_once('-').context("a range of maps")?;
            let (start, end) = (u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?);
            let offset = usize::from_str_radix(rest.split(' ').next().unwrap_or_default(), 16)?;
            let mut code = vec![0; usize::try_from(end - start)?];
            memory.read_exact_at(&mut code, start)?;
            // The last page goes on behind the end of the file.
            let both = code.iter().zip(bytes.get(offset..).unwrap_or_default()).enumerate();
            let different = both.filter(|(_, (a, b))| a != b).map(|(at, _)| (offset + at) as u64);
            // A breakpoint is as long as the shortest instruction: 1 byte, on arm64 4.
            let is_own = |at: &u64| own.iter().any(|site| (*site..site + 4).contains(at));
            if let Some(at) = different.into_iter().find(|at| !is_own(at)) {
                bail!("the new program has a breakpoint of the old one's at file offset {at:#x}");
            }
            compared += code.len();
        }
        ensure!(compared > 0, "no code of {} in memory:\n{maps}", file.display());
        Ok(())
    }

    pub fn get(&self, path: &str) -> Result<()> {
        let mut connection = Connection::open(self.address)?;
        connection
            .send(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes())?;
        let answer = connection.receive(false)?.context("it closed the connection")?;
        ensure!(answer.status == 200, "status {}", answer.status);
        Ok(())
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&mut self) -> Result<()> {
        self.running.signal(libc::SIGKILL)?;
        self.running.wait(Duration::from_secs(10)).map(drop)
    }
}
