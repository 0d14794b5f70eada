//! `strobe run` and `strobe exec`: from what was typed to an exit status.

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use nix::{
    sys::{
        signalfd::SignalFd,
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{SignalKind, signal},
};
use tracing::{error, info, warn};

use crate::{
    agent::{Agent, Ended, WayOut},
    cli,
    config::Config,
    discover::{self, Target, WatchError},
    exec,
    export::{Outputs, Pipeline, Stream},
    features::Facts,
    libraries::{self, Sampling},
    programs::{LoadOptions, Programs},
    sink::{self, Sink},
    sources::Sources,
};

/// Done.
const STATUS_DONE: u8 = 0;
/// Nothing could be traced.
const STATUS_FAILED: u8 = 1;
/// A privilege or kernel feature is missing.
const STATUS_MISSING: u8 = 3;

/// Why tracing cannot begin, with the exit status of `strobe run`.
struct Refusal {
    status: u8,
    reason: String,
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self { status: STATUS_FAILED, reason: format!("{error:#}") }
    }
}

/// Whoever gets the guard keeps it until the end: the last lines are written when it goes.
fn set_up_logging(config: &Config, warnings: &[String]) -> anyhow::Result<log::Guard> {
    let guard = log::start(config.log_level).context("starting the log's thread")?;
    for warning in warnings {
        warn!("{warning}");
    }
    Ok(guard)
}

/// The only place where tracing begins: features, programs, exporters. Needs a tokio runtime.
fn agent(target: Target, config: &Config, stream: Stream) -> Result<Agent, Refusal> {
    if let Some(missing) = Facts::gather()?.missing() {
        return Err(Refusal { status: STATUS_MISSING, reason: missing.to_string() });
    }
    discover::raise_descriptor_limit()?;
    let way_out = way_out(config, stream)?;
    let programs = Programs::load(&LoadOptions::default()).map_err(|error| Refusal {
        status: STATUS_MISSING,
        reason: format!("this kernel refuses strobe's programs: {error:#}"),
    })?;
    Agent::new(target, programs, way_out).map_err(|error| Refusal {
        status: if error.is::<WatchError>() { STATUS_MISSING } else { STATUS_FAILED },
        reason: format!("{error:#}"),
    })
}

/// Starts the exporters that the configuration asks for; a terminal on `stream` gets the waterfall if it names none.
fn way_out(config: &Config, stream: Stream) -> anyhow::Result<WayOut> {
    let is_terminal = match stream {
        Stream::Stdout => std::io::stdout().is_terminal(),
        Stream::Stderr => std::io::stderr().is_terminal(),
    };
    let pipeline = Pipeline::start(config, Outputs::choose(config, stream, is_terminal))?;
    let joiners = libraries::joiners();
    Ok(WayOut {
        sampling: Sampling { sampler: config.sampler, extract: config.extract },
        sources: Sources::new(config, true),
        sink: Sink::new(joiners, config, sink::BEGUN_BYTES, pipeline)?,
    })
}

fn tokio_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the event loop")
}

/// `strobe run`.
pub fn run(args: cli::Run) -> ExitCode {
    let (config, warnings) = Config::from_process_env();
    set_up_logging(&config, &warnings);
    let target = match args.pid {
        Some(pid) => Target::Pid(pid),
        // clap requires one of them.
        None => Target::Exe(args.exe),
    };
    if config.disabled {
        warn!("OTEL_SDK_DISABLED is true: nothing is traced");
        return ExitCode::from(STATUS_DONE);
    }
    match run_target(target, &config) {
        Ok(()) => ExitCode::from(STATUS_DONE),
        Err(refusal) => {
            log::say(&format!("strobe: {}", refusal.reason));
            ExitCode::from(refusal.status)
        }
    }
}

fn run_target(target: Target, config: &Config) -> Result<(), Refusal> {
    tokio_runtime()?.block_on(async {
        let mut agent = agent(target, config, Stream::Stdout)?;
        agent.find_running()?;
        let ended = agent.run(interrupted()?).await?;
        // A second signal ends the good-bye.
        agent.finish(interrupted()?).await?;
        match ended {
            Ended::TargetGone => info!("the target has ended"),
            Ended::Stopped => info!("stopped"),
            Ended::Untraceable(reason) => return Err(Refusal { status: STATUS_FAILED, reason }),
        }
        Ok(())
    })
}

/// Completes at SIGINT or SIGTERM.
fn interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("watching SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("watching SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// `strobe exec`.
pub fn exec(args: &cli::Exec) -> ExitCode {
    match exec_command(args) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("strobe exec: {error:#}");
            ExitCode::from(exec::STATUS_FAILED)
        }
    }
}

fn exec_command(args: &cli::Exec) -> anyhow::Result<u8> {
    let program = args.command.first().context("no command")?;
    // First of all, while there is one thread and nothing open.
    let gated = exec::fork_gated(&args.command, args.user.as_deref())?;
    let signals = exec::signals()?;
    let (config, warnings) = Config::from_process_env();
    let _log = set_up_logging(&config, &warnings)?;
    tokio_runtime()?.block_on(async {
        let pid = gated.pid;
        let mut child = Child { pid, signals: discover::pollable(signals).context("polling signals")? };
        // A command that is not there is the child's to report, with the status that `env` gives it.
        let (agent, problem) = match exec::resolve(program) {
            Err(_) => (None, None),
            Ok(_) if config.disabled => (None, Some("OTEL_SDK_DISABLED is true".to_owned())),
            Ok(path) => exec_agent(&path, pid, &config),
        };
        match problem {
            Some(reason) if args.strict => anyhow::bail!("not started, since it cannot be traced: {reason}"),
            Some(reason) => log::say(&format!("strobe exec: warning: starting it untraced: {reason}")),
            None => {}
        }
        gated.open()?;
        supervise(&mut child, agent).await
    })
}

/// An agent with the command's probes in place, and what is wrong, if anything. Where the command itself is no Go program
/// (a script, a wrapper) there is an agent nevertheless, which waits for what the command executes next.
fn exec_agent(path: &Path, pid: Pid, config: &Config) -> (Option<Agent>, Option<String>) {
    let tgid = pid.as_raw().unsigned_abs();
    let mut agent = match agent(Target::Tree(tgid), config, Stream::Stderr) {
        Ok(agent) => agent,
        Err(refusal) => return (None, Some(refusal.reason)),
    };
    let prepared = exec::open(path).and_then(|file| agent.prepare(tgid, file, &path.to_string_lossy()));
    (Some(agent), prepared.err().map(|error| format!("{error:#}")))
}

/// The command, as its parent sees it.
struct Child {
    pid: Pid,
    signals: AsyncFd<SignalFd>,
}

impl Child {
    /// Passes signals on until the command ends; gives its status.
    async fn ended(&mut self) -> anyhow::Result<u8> {
        let mut exits = signal(SignalKind::child()).context("watching SIGCHLD")?;
        loop {
            if let Some(status) = self.reap()? {
                return Ok(status);
            }
            tokio::select! {
                _ = exits.recv() => {}
                ready = self.signals.readable_mut() => {
                    let mut ready = ready.context("polling signals")?;
                    while let Some(info) = ready.get_inner_mut().read_signal().context("reading signals")? {
                        let signal = i32::try_from(info.ssi_signo).context("a signal's number")?;
                        // SI_KERNEL: the terminal's driver, which has sent it to the command too.
                        exec::forward(self.pid, signal, info.ssi_code == libc::SI_KERNEL);
                    }
                    ready.clear_ready();
                }
            }
        }
    }

    fn reap(&self) -> anyhow::Result<Option<u8>> {
        let status = waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).context("waiting for the command")?;
        Ok(exec::status(status))
    }
}

/// Runs the agent beside the command; what is in flight when it ends is drained and exported before its status is passed on.
async fn supervise(child: &mut Child, agent: Option<Agent>) -> anyhow::Result<u8> {
    let Some(mut agent) = agent else { return child.ended().await };
    let (done, mut ended) = tokio::sync::oneshot::channel();
    let status = {
        let mut wait = std::pin::pin!(async {
            let status = child.ended().await;
            // The agent may have gone first; then nobody listens, and that is fine.
            let _ = done.send(());
            status
        });
        let mut trace = std::pin::pin!(trace(&mut agent, &mut ended));
        tokio::select! {
            status = &mut wait => status,
            result = &mut trace => {
                if let Err(error) = result {
                    error!("tracing has ended: {error:#}");
                }
                wait.await
            }
        }
    };
    if let Err(error) = agent.finish(std::future::pending()).await {
        error!("finishing: {error:#}");
    }
    status
}

async fn trace(agent: &mut Agent, ended: &mut tokio::sync::oneshot::Receiver<()>) -> anyhow::Result<()> {
    loop {
        let stop = async {
            // The sender going away means the same as a message.
            let _ = (&mut *ended).await;
        };
        match agent.run(stop).await? {
            Ended::Untraceable(reason) => warn!("not traced: {reason}"),
            Ended::TargetGone | Ended::Stopped => return Ok(()),
        }
    }
}
