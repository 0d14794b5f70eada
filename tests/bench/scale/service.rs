//! The services of the cases: copies of the test programs in files of their own, since a probe belongs to an inode.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use strobe_tests::{
    golang::{self, Build},
    machine,
    process::Running,
};

/// What the load asks the `bench` app for.
pub const PATH: &str = "/items/42?verbose=1";

/// A stripped program that is shared: copies of it are run.
pub struct Built {
    /// Of Go, by which it was built.
    pub version: String,
    pub program: PathBuf,
}

impl Built {
    /// `tests/apps/APP`, which needs no modules.
    pub fn app(app: &str) -> Result<Self> {
        let (version, root) = golang::installed_or_newest()?;
        let program = golang::build_with(app, &version, &root, Build::Stripped)?;
        Ok(Self { version, program })
    }
}

/// A folder with copies of one program; they go with it.
pub struct Copies {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Copies {
    /// Of `tests/apps/APP`.
    pub fn of(app: &str) -> Result<Self> {
        Self::of_built(&Built::app(app)?)
    }

    /// Of a program that is there.
    pub fn of_built(built: &Built) -> Result<Self> {
        let folder = tempfile::tempdir().context("a folder for copies of the service")?;
        Ok(Self { program: built.program.clone(), folder })
    }

    /// One more copy.
    pub fn copy(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        machine::copy_program(&self.program, &path)?;
        Ok(path)
    }
}

/// Starts a service and gives its address.
pub fn start(program: &Path, args: &[&str]) -> Result<(Running, SocketAddr)> {
    let running = Running::start(Command::new(program).args(args))?;
    let line = running.expect_stdout("listening on", 0)?;
    let address = line.rsplit([' ', '/']).next().context("no address")?;
    let address = address.parse().with_context(|| format!("the service's address in {line:?}"))?;
    Ok((running, address))
}

/// The cases hold thousands of connections and pipes.
pub fn raise_descriptor_limit() -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid pointer to a local.
    let failed = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 || {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0
        }
    };
    if failed {
        return Err(std::io::Error::last_os_error()).context("raising the limit of open files");
    }
    Ok(())
}
