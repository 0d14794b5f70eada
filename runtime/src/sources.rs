//! Who a traced process is, as its spans name it: looked at once, when it begins to be traced.
//!
//! Looking reads `/proc` and belongs to guard or planning; drain only keeps the result ([`crate::sink`]).

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Once};

use analyzer::Plan;
use tracing::warn;

use crate::causes;
use crate::config::{self, Config};
use crate::discover::Target;
use crate::resource::{AgentFacts, BinaryFacts, Facts, HostFacts, ProcessFacts, Resource, Totals};

/// A traced process, as its spans name it.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its process id as the agent sees it, for messages.
    pub pid: u32,
    /// The resource of all its spans.
    pub resource: Arc<Resource>,
    /// Its network namespace by its number; `None`: it could not be looked at.
    pub network: Option<u64>,
}

impl Source {
    /// Its `service.name`.
    pub fn service(&self) -> &str {
        &self.resource.service_name
    }
}

/// What every process's resource has in common.
#[derive(Debug)]
pub struct Sources {
    host: HostFacts,
    agent: AgentFacts,
    left_out: Arc<Totals>,
    /// It was said that a process's environment is closed to the agent.
    said_closed: Once,
}

impl Sources {
    /// Reads what there is to know of the host. A single target is named by the agent's own `OTEL_SERVICE_NAME`.
    pub fn new(config: &Config, target: &Target) -> Self {
        Self {
            host: HostFacts::read(),
            agent: AgentFacts {
                single_target: target.is_single(),
                service_name: config.service_name.clone(),
                attributes: config.resource_attributes.clone(),
            },
            left_out: Arc::default(),
            said_closed: Once::new(),
        }
    }

    /// What is to be said where the agent was given a name that it gives to nobody.
    pub fn unused_name(&self) -> Option<String> {
        self.agent.unused_name().map(|variable| {
            format!(
                "{variable} names a service, and strobe has several targets: none of them gets that name; give each its own \
                 {} in its environment, or run a strobe for each",
                config::SERVICE_NAME
            )
        })
    }

    /// What all resources had to leave out so far.
    pub fn left_out(&self) -> Arc<Totals> {
        Arc::clone(&self.left_out)
    }

    /// Looks at a process and makes its resource.
    pub fn look(&self, pid: u32, plan: Option<&Plan>, announced: Option<&Path>) -> Source {
        let main = plan.and_then(|plan| plan.modules.first());
        let binary = BinaryFacts {
            go_version: plan.and_then(|plan| plan.go_version.clone()),
            main_version: main.map(|module| module.version.clone()),
        };
        let mut process = ProcessFacts::read(pid);
        if let Some(exe) = announced {
            process.exe = Some(exe.to_owned());
        }
        if process.environ_is_closed {
            self.said_closed.call_once(|| warn!("{}", closed(pid, remedy())));
        }
        let (resource, warnings) =
            Resource::new(Facts { process: &process, binary: &binary, host: &self.host, agent: &self.agent });
        for warning in warnings {
            warn!(pid, "{warning}");
        }
        self.left_out.add(resource.left_out);
        Source { pid, resource: Arc::new(resource), network: network(pid) }
    }
}

/// The network namespace of a process (namespaces(7): the inode of its link in `/proc`).
fn network(pid: u32) -> Option<u64> {
    std::fs::metadata(format!("/proc/{pid}/ns/net")).ok().map(|found| found.ino())
}

/// What is to be said of the first process whose environment may not be read.
fn closed(pid: u32, remedy: &str) -> String {
    format!(
        "pid {pid}: its environment may not be read, nor that of others like it: what {} and {} say there is not known, and its \
         spans may have another service name than they should: {remedy}",
        config::SERVICE_NAME,
        config::RESOURCE_ATTRIBUTES
    )
}

/// What the kernel wants of whom reads another user's `/proc/PID/environ`: the file is its owner's alone, and then it asks as
/// ptrace(2) does.
fn remedy() -> &'static str {
    use caps::Capability::{CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH};
    match causes::holds(CAP_DAC_READ_SEARCH) || causes::holds(CAP_DAC_OVERRIDE) {
        false => "strobe needs the capability CAP_DAC_READ_SEARCH for it",
        true => "strobe needs the capability CAP_SYS_PTRACE for it, or a policy of the machine's forbids it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_own_name_is_a_single_targets() {
        let given = |name: &str| (name == config::SERVICE_NAME).then(|| "of the agent".into());
        let (config, _) = Config::from_env(given);
        let pid = std::process::id();
        for (target, is_named) in [
            (Target::Pid(pid), true),
            (Target::Tree(pid), true),
            (Target::Exe(vec!["/a".into()]), true),
            (Target::Exe(vec!["/a".into(), "/b".into()]), false),
        ] {
            let sources = Sources::new(&config, &target);
            assert_eq!(sources.look(pid, None, None).service() == "of the agent", is_named, "{target:?}");
            assert_eq!(sources.unused_name().is_none(), is_named, "{target:?}");
        }
        let (config, _) = Config::from_env(|_: &str| None);
        assert_eq!(Sources::new(&config, &Target::Exe(vec!["/a".into(), "/b".into()])).unused_name(), None);
    }
}
