//! `strobe run`: from what was typed to an exit status.

use std::{io::Read as _, path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::{
    agent::Ended,
    cli,
    config::Config,
    discover::Target,
    export::Stream,
    log,
    planning::Own,
    start::{self, Refusal, STATUS_FAILED, STATUS_MISSING},
};

/// Done.
const STATUS_DONE: u8 = 0;
/// How long the last spans may take to leave when the agent ends.
const GOOD_BYE: Duration = Duration::from_secs(10);

/// `strobe run`.
pub fn run(args: cli::Run) -> ExitCode {
    let (mut config, warnings) = Config::from_process_env();
    config.propagation = args.propagation.unwrap_or(config.propagation);
    let _log = match start::logging(&config, &warnings) {
        Ok(guard) => guard,
        Err(error) => {
            eprintln!("strobe: {error:#}");
            return ExitCode::from(STATUS_FAILED);
        }
    };
    let (target, witness) = match args.pid {
        Some(pid) => (Target::Pid(pid), Some(pid)),
        // clap requires one of them.
        None => (Target::Exe(args.exe), None),
    };
    if let Some(why) = config.traces_nothing() {
        warn!("{why}: nothing is traced");
        return ExitCode::from(STATUS_DONE);
    }
    if let Target::Exe(paths) = &target
        && let Some(folder) = paths.iter().find(|path| path.is_dir())
    {
        log::say(&format!("strobe: --exe {}: that is a folder; name the program in it", folder.display()));
        return ExitCode::from(STATUS_FAILED);
    }
    if let Target::Exe(paths) = &target {
        paths.iter().filter(|path| is_another_file(path)).for_each(|path| {
            warn!(
                "--exe {}: no ELF file (a script?): no process runs from it; name the program",
                path.display()
            );
        });
    }
    match run_target(target, witness, &config, args.catalog.unwrap_or_default()) {
        Ok(()) => ExitCode::from(STATUS_DONE),
        Err(refusal) => {
            log::say(&format!("strobe: {}", refusal.reason));
            ExitCode::from(refusal.status)
        }
    }
}

fn run_target(target: Target, witness: Option<u32>, config: &Config, own: Own) -> Result<(), Refusal> {
    start::tokio_runtime()?.block_on(async {
        // Before anything that takes a while: a stop in the first moments is a stop, too.
        let stop = interrupted()?;
        let mut agent = start::agent(target, start::programs(witness, config)?, config, own, Stream::Stdout)?;
        agent.find_running()?;
        let ended = agent.run(stop).await?;
        // A second signal ends the good-bye.
        agent.finish(GOOD_BYE, interrupted()?).await?;
        match ended {
            Ended::TargetGone => info!("the target has ended"),
            Ended::Stopped => info!("stopped"),
            Ended::Untraceable(reason) => {
                let status = if reason.not_allowed { STATUS_MISSING } else { STATUS_FAILED };
                return Err(Refusal { status, reason: reason.text });
            }
        }
        Ok(())
    })
}

/// A file that no process can run from: it does not begin as ELF files do. One that cannot be read is left to whoever finds its
/// process.
fn is_another_file(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    match read {
        Ok(()) => magic != *b"\x7fELF",
        Err(error) => error.kind() == std::io::ErrorKind::UnexpectedEof,
    }
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
