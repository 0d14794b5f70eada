//! The matrix: which kernels are booted, with which command line, and which cases each of them runs.

use std::borrow::Cow;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};
use strobe_tests::machine;

use crate::arch::Arch;
use crate::artifacts::Artifacts;
use crate::initramfs::Initramfs;
use crate::kernels::{self, Kernel};
use crate::machine::{Machine, Seen};
use crate::messages;
use crate::own_tests;
use crate::verdict::Verdict;

/// What every kernel of the matrix runs (`guest/cases.rs`).
const CASES: [&str; 34] = [
    "load",
    "features",
    "go1.22",
    "go1.24",
    "go1.27",
    "h2-1.22",
    "h2-1.27",
    "client1.22",
    "client1.27",
    "carried1.27",
    "written1.22",
    "written1.27",
    "own1.27",
    "states1.27",
    "chain",
    "go1.26",
    "unix1.26",
    "routes1.26",
    "x-net1.26",
    "grpc1.22",
    "grpc1.27",
    "sql1.22",
    "sql1.27",
    "kafka1.27",
    "manual1.26",
    "exec",
    "restart",
    "overwrite",
    "pid-below",
    "pid-inside",
    "pid-deep",
    "overlay",
    "user",
    "missing",
];

/// What `features` asks of a kernel that says how much work its verifier had (Linux 5.16): the oldest does not.
const OF_THE_OLDEST: &str = "load";

/// Those of them that the oldest kernel on amd64 and the newest on arm64 have: what a library's programs do with what the kernel gives
/// them. How probes are attached, and what the verifier and the helpers are, differ between these two as much as between any; `load`
/// and `features` have the verifier of every kernel look at every program, and `written1.27` writes on every other kernel. What `pid-below` shows,
/// `pid-deep` shows one namespace further down.
const OF_THE_ENDS: [&str; 12] = [
    "h2-1.27",
    "client1.27",
    "carried1.27",
    "written1.22",
    "own1.27",
    "states1.27",
    "chain",
    "grpc1.27",
    "sql1.27",
    "kafka1.27",
    "manual1.26",
    "pid-below",
];

/// What those two have more of: they need it least.
const OF_THE_OTHERS: &str = "written1.27";

/// Those of them that only the newest kernel on arm64 has: the same programs on another Go, or with other libraries, whose differences are the
/// programs' own, and the architecture's, and no kernel's. On amd64 the end-to-end tests run them.
const OF_THE_NEWEST_ARM64: [&str; 8] =
    ["h2-1.22", "client1.22", "go1.26", "unix1.26", "routes1.26", "x-net1.26", "grpc1.22", "sql1.22"];

/// Those of them that do what another case does with a newer Go, or over TCP: `--all` alone has the time for them.
const DONE_BY_ANOTHER: [&str; 9] =
    ["go1.22", "go1.24", "written1.22", "h2-1.22", "client1.22", "go1.26", "unix1.26", "grpc1.22", "sql1.22"];

/// Those of them that write what `carried1.27` and `chain` write on the oldest kernel, too: of the two that are booted without `--all`, the newest
/// has the time for them.
const DONE_ON_THE_NEWEST: [&str; 2] = ["own1.27", "states1.27"];

/// A machine's memory.
const MEMORY_MIB: u32 = 1024;
/// That of one whose programs want more: gRPC's own tests were ended by the kernel, which had no more than the above.
const LARGE_MIB: u32 = 4096;

/// So many messages go through one machine at most: half an hour of one of this machine's processors, after which it says what came of them.
const MESSAGES_EACH: u32 = 250_000;

/// What is always looked at last.
const ALWAYS: &str = "kernel log";

/// One boot.
#[derive(Debug)]
pub struct Run {
    pub name: String,
    pub arch: Arch,
    source: Source,
    command_line: Cow<'static, str>,
    memory_mib: u32,
    pub cases: Vec<&'static str>,
}

#[derive(Debug)]
enum Source {
    Suite(&'static str),
    Given(Kernel),
}

/// A kernel for which the same cases are told apart by an option, or a release that differs in one respect.
struct Special {
    name: &'static str,
    suite: &'static str,
    arch: Arch,
    command_line: &'static str,
    cases: &'static [&'static str],
}

const SPECIAL: [Special; 4] = [
    Special {
        name: "6.12 lockdown amd64",
        suite: "trixie",
        arch: Arch::Amd64,
        command_line: "lockdown=integrity",
        cases: &["lockdown", "features", "manual1.26", "user"],
    },
    Special {
        name: "7.x lockdown arm64",
        suite: "sid",
        arch: Arch::Arm64,
        command_line: "lockdown=integrity",
        cases: &["lockdown", "features", "manual1.26", "user"],
    },
    Special {
        name: "6.12 preempt=full amd64",
        suite: "trixie",
        arch: Arch::Amd64,
        command_line: "preempt=full",
        cases: &["preempt", "calls", "go1.27"],
    },
    // Where tracing programs may get a stack for each processor, which a preempted one of a uprobe must not have.
    Special {
        name: "7.x preempt=full amd64",
        suite: "sid",
        arch: Arch::Amd64,
        command_line: "preempt=full",
        cases: &["preempt", "go1.27"],
    },
];

/// Every kernel on both architectures, and the special runs.
pub fn all() -> Vec<Run> {
    let last = kernels::SUITES.len() - 1;
    let matrix = kernels::SUITES.iter().enumerate().flat_map(|(at, (suite, version))| {
        let has_all = move |arch| at == last && arch == Arch::Arm64;
        let is_end = move |arch| has_all(arch) || (at == 0 && arch == Arch::Amd64);
        let runs = move |arch, case: &&str| {
            (at == 0 || *case != OF_THE_OLDEST)
                && (has_all(arch) || !OF_THE_NEWEST_ARM64.contains(case))
                && (is_end(arch) || !OF_THE_ENDS.contains(case))
                && (!is_end(arch) || *case != OF_THE_OTHERS)
        };
        Arch::ALL.map(|arch| Run {
            name: format!("{version} {}", arch.name()),
            arch,
            source: Source::Suite(suite),
            command_line: "".into(),
            memory_mib: MEMORY_MIB,
            cases: CASES.iter().copied().filter(|case| runs(arch, case)).collect(),
        })
    });
    let special = SPECIAL.iter().map(|special| Run {
        name: special.name.to_owned(),
        arch: special.arch,
        source: Source::Suite(special.suite),
        command_line: special.command_line.into(),
        memory_mib: MEMORY_MIB,
        cases: special.cases.to_vec(),
    });
    matrix.chain(special).collect()
}

/// The oldest kernel on amd64 and the newest on arm64.
pub fn few() -> Vec<Run> {
    let ends = [(kernels::SUITES.first(), Arch::Amd64), (kernels::SUITES.last(), Arch::Arm64)];
    let names = ends.map(|(suite, arch)| suite.map(|(_, version)| format!("{version} {}", arch.name())));
    let mut few: Vec<Run> =
        all().into_iter().filter(|run| names.iter().flatten().any(|name| *name == run.name)).collect();
    for run in &mut few {
        let is_oldest = run.arch == Arch::Amd64;
        run.cases.retain(|case| {
            !(DONE_BY_ANOTHER.contains(case) || is_oldest && DONE_ON_THE_NEWEST.contains(case))
        });
    }
    few
}

/// The tests that Go and gRPC have of their own: a machine for each.
pub fn own_tests() -> Vec<Run> {
    let run = |case: &'static str| Run {
        name: format!("6.1 {case} amd64"),
        arch: Arch::Amd64,
        source: Source::Suite("bookworm"),
        command_line: "".into(),
        memory_mib: LARGE_MIB,
        cases: vec![case],
    };
    own_tests::CASES.map(run).into()
}

/// So many messages over each way to carry them, a machine for each, and several where they are many.
pub fn messages(messages: u32) -> Vec<Run> {
    let machines = messages.div_ceil(MESSAGES_EACH).max(1);
    let run = |case: &'static str, nth: u32| {
        let before = nth * MESSAGES_EACH;
        let part = if machines > 1 { format!(" {}-of-{machines}", nth + 1) } else { String::new() };
        Run {
            name: format!("6.1 {case}{part} amd64"),
            arch: Arch::Amd64,
            source: Source::Suite("bookworm"),
            command_line: format!(
                "strobe_messages={} strobe_messages_before={before}",
                (messages - before).min(MESSAGES_EACH)
            )
            .into(),
            memory_mib: LARGE_MIB,
            cases: vec![case],
        }
    };
    messages::CASES.into_iter().flat_map(|case| (0..machines).map(move |nth| run(case, nth))).collect()
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub run: String,
    pub arch: Arch,
    /// The kernel's own version, or `-` if it never said.
    pub kernel: String,
    /// One verdict per case, in the order of the cases, the kernel's log at the end.
    pub verdicts: Vec<Verdict>,
    /// Where the console's log was kept.
    pub log: Option<PathBuf>,
    pub seconds: f64,
}

impl Outcome {
    pub fn passed(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.passed)
    }
}

impl Run {
    /// All cases on a kernel that the user gave.
    pub fn given(arch: Arch, kernel: Kernel) -> Self {
        let name = format!("given {}", arch.name());
        let (command_line, memory_mib, cases) = ("".into(), MEMORY_MIB, CASES.to_vec());
        Run { name, arch, source: Source::Given(kernel), command_line, memory_mib, cases }
    }

    /// How much there is to do, as a figure to order runs by: a case, and the boot, take about a quarter longer on arm64.
    pub fn work(&self) -> usize {
        let each = match self.arch {
            Arch::Amd64 => 4,
            Arch::Arm64 => 5,
        };
        each * (self.cases.len() + 2)
    }

    /// Boots the kernel and runs the cases. What keeps it from booting is the failure of all its cases: other runs go on.
    pub fn outcome(&self, artifacts: &Artifacts) -> Outcome {
        self.boot(artifacts).unwrap_or_else(|error| {
            let mut seen = Seen::default();
            seen.trouble = Some(format!("{error:#}"));
            self.verdicts(&seen, 0.0)
        })
    }

    fn boot(&self, artifacts: &Artifacts) -> Result<Outcome> {
        let kernel = match &self.source {
            Source::Suite(suite) => kernels::of_suite(suite, self.arch)?,
            Source::Given(kernel) => kernel.clone(),
        };
        let folder = tempfile::tempdir().context("a folder for the initramfs")?;
        let initramfs = folder.path().join("initramfs");
        fs::write(&initramfs, self.initramfs(artifacts, &kernel)?)?;
        let command_line = format!("strobe_cases={} {}", self.cases.join(","), self.command_line);
        let log = self.log()?;
        let machine = Machine {
            arch: self.arch,
            kernel: &kernel.image,
            initramfs: &initramfs,
            command_line: &command_line,
            memory_mib: self.memory_mib,
            log: &log,
        };
        let begin = Instant::now();
        let seen = machine.run()?;
        let mut outcome = self.verdicts(&seen, begin.elapsed().as_secs_f64());
        if outcome.passed() {
            fs::remove_file(&log).with_context(|| format!("remove {}", log.display()))?;
        } else {
            outcome.log = Some(log);
        }
        Ok(outcome)
    }

    fn initramfs(&self, artifacts: &Artifacts, kernel: &Kernel) -> Result<Vec<u8>> {
        let mut archive = Initramfs::new()?;
        archive.folder("img")?;
        archive.program("init", &artifacts.init)?;
        archive.program("bin/strobe", &artifacts.strobe)?;
        for library in &artifacts.libraries {
            archive.program(library.to_string_lossy().trim_start_matches('/'), library)?;
        }
        archive.file("strobe.o", &fs::read(&artifacts.object).context("read the eBPF object")?)?;
        // Some calls are to a host by its name.
        archive.file("etc/hosts", b"127.0.0.1 localhost\n")?;
        let mut has_its_own = false;
        for case in &self.cases {
            has_its_own |= own_tests::put(&mut archive, case)? || messages::put(&mut archive, case)?;
        }
        for (name, app) in artifacts.apps.iter().filter(|_| !has_its_own) {
            archive.program(&format!("apps/{name}"), app)?;
        }
        for module in &kernel.modules {
            let name = module.file_name().context("a module's name")?.to_string_lossy();
            archive.file(&format!("modules/{name}"), &fs::read(module)?)?;
        }
        archive.finish()
    }

    /// A verdict for each case: those that were given, and a failure for those that never came.
    fn verdicts(&self, seen: &Seen, seconds: f64) -> Outcome {
        let because = seen.trouble.clone().unwrap_or_else(|| "no verdict was given".to_owned());
        let given = |case: &str| seen.verdicts.iter().find(|verdict| verdict.case == case).cloned();
        let missing = |case: &str| Verdict {
            case: case.to_owned(),
            passed: false,
            seconds: 0.0,
            detail: if seen.open.as_deref() == Some(case) {
                format!("in this case: {because}")
            } else {
                format!("not run: {because}")
            },
        };
        let mut verdicts: Vec<Verdict> = seen.verdicts.iter().filter(|v| v.case == "boot").cloned().collect();
        let cases = self.cases.iter().copied().chain([ALWAYS]);
        verdicts.extend(cases.map(|case| given(case).unwrap_or_else(|| missing(case))));
        if let (Some(trouble), true) = (&seen.trouble, verdicts.iter().all(|verdict| verdict.passed)) {
            let detail = trouble.clone();
            verdicts.push(Verdict { case: "power off".to_owned(), passed: false, seconds: 0.0, detail });
        }
        let kernel =
            seen.kernel.as_ref().map_or("-".to_owned(), |(release, version)| debian(release, version));
        Outcome { run: self.name.clone(), arch: self.arch, kernel, verdicts, log: None, seconds }
    }

    /// Where the console is written: it is there to be read while the machine runs, and kept if a case failed.
    fn log(&self) -> Result<PathBuf> {
        let folder = machine::workspace().join("target/vm");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(folder.join(format!("{}.log", self.name.replace([' ', '='], "-"))))
    }
}

/// Debian's release has the ABI's number; the package's true version stands in what `uname -v` says.
fn debian(release: &str, version: &str) -> String {
    let package = version.split("Debian ").nth(1).and_then(|rest| rest.split(' ').next());
    package.unwrap_or(release).to_owned()
}
