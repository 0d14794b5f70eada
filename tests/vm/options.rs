//! The command line.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::arch::Arch;
use crate::kernels::{self, Kernel};
use crate::runs::{self, Run};

/// Printed with a usage error.
pub const USAGE: &str = "\
usage: scripts/vm [--all | --own-tests | --messages N] [--json] [--only RUN]… [--case CASE]… [--kernel FILE [--arch amd64|arm64]]
  with no option: the oldest kernel on amd64 and the newest on arm64
  --all          every kernel on both architectures, and the special runs
  --own-tests    the tests that net/http and gRPC have of their own, under an agent that writes
  --messages N   N messages over each way to carry them, under an agent that writes: what arrives is what was sent;
                 250,000 at most in one machine
  --only RUN     those runs (without another option: of --all) whose name contains RUN
  --case CASE    this case alone
  --kernel FILE  this kernel in place of Debian's (what it lacks as built in cannot be tested)
  --arch ARCH    its architecture; amd64 unless said otherwise
  --json         one object per case in place of the table";

/// What was asked for.
#[derive(Debug, Default)]
pub struct Options {
    all: bool,
    own_tests: bool,
    messages: Option<u32>,
    /// One object per case.
    pub json: bool,
    only: Vec<String>,
    cases: Vec<String>,
    kernel: Option<PathBuf>,
    arch: Option<Arch>,
}

impl Options {
    /// Reads the arguments; what is wrong with them otherwise.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--all" => options.all = true,
                "--own-tests" => options.own_tests = true,
                "--json" => options.json = true,
                "--messages" => {
                    let number = value()?;
                    let messages = number.parse().map_err(|error| format!("--messages {number}: {error}"))?;
                    options.messages = Some(messages);
                }
                "--only" => options.only.push(value()?),
                "--case" => options.cases.push(value()?),
                "--kernel" => options.kernel = Some(value()?.into()),
                "--arch" => {
                    let name = value()?;
                    let arch = Arch::named(&name).ok_or_else(|| format!("no architecture {name}"))?;
                    options.arch = Some(arch);
                }
                _ => return Err(format!("no option {argument}")),
            }
        }
        if options.arch.is_some() && options.kernel.is_none() {
            return Err("--arch says what --kernel is of; Debian's kernels are chosen by --only".to_owned());
        }
        Ok(options)
    }

    /// The runs that were asked for.
    pub fn runs(&self) -> Result<Vec<Run>> {
        let mut runs = match &self.kernel {
            Some(file) => vec![self.given(kernels::of_file(file)?)],
            None if self.own_tests => runs::own_tests(),
            None if let Some(messages) = self.messages => runs::messages(messages),
            None if self.all || !self.only.is_empty() => runs::all(),
            None => runs::few(),
        };
        runs.retain(|run| self.only.is_empty() || self.only.iter().any(|name| run.name.contains(name)));
        if !self.cases.is_empty() {
            runs.iter_mut().for_each(|run| run.cases.retain(|case| self.cases.iter().any(|c| c == case)));
            runs.retain(|run| !run.cases.is_empty());
        }
        ensure!(!runs.is_empty(), "no run has such a name and such a case");
        Ok(runs)
    }

    fn given(&self, kernel: Kernel) -> Run {
        Run::given(self.arch.unwrap_or(Arch::Amd64), kernel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(arguments: &[&str]) -> Result<Vec<String>, String> {
        let options = Options::parse(arguments.iter().map(|a| (*a).to_owned()))?;
        let runs = options.runs().map_err(|error| error.to_string())?;
        Ok(runs.iter().map(|run| format!("{}: {}", run.name, run.cases.len())).collect())
    }

    #[test]
    fn the_runs_that_were_asked_for() {
        assert_eq!(runs(&[]).expect("few").len(), 2);
        assert_eq!(runs(&["--all"]).expect("all").len(), 12);
        assert_eq!(runs(&["--only", "5.10 amd64", "--case", "load"]).expect("one"), ["5.10 amd64: 1"]);
        assert_eq!(runs(&["--own-tests"]).expect("two").len(), 2);
        assert_eq!(runs(&["--messages", "7"]).expect("four").len(), 4);
        let parts = runs(&["--messages", "250001", "--case", "messages-h2"]).expect("two");
        assert_eq!(parts, ["6.1 messages-h2 1-of-2 amd64: 1", "6.1 messages-h2 2-of-2 amd64: 1"]);
        assert!(runs(&["--only", "4.19"]).is_err());
    }

    #[test]
    fn usage_errors() {
        for arguments in [
            &["--every"][..],
            &["--only"],
            &["--messages", "many"],
            &["--arch", "arm64"],
            &["--kernel", "x", "--arch", "mips"],
        ] {
            assert!(Options::parse(arguments.iter().map(|a| (*a).to_owned())).is_err(), "{arguments:?}");
        }
    }
}
