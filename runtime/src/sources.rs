//! Who a traced process is, as its spans name it: looked at once, when it begins to be traced.
//!
//! Looking reads `/proc` and belongs to guard or planning; drain only keeps the result ([`crate::sink`]).

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use analyzer::Plan;
use tracing::warn;

use crate::config::Config;
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
}

impl Sources {
    /// Reads what there is to know of the host. `single_target`: the agent's own `OTEL_SERVICE_NAME` names the target.
    pub fn new(config: &Config, single_target: bool) -> Self {
        Self {
            host: HostFacts::read(),
            agent: AgentFacts {
                single_target,
                service_name: config.service_name.clone(),
                attributes: config.resource_attributes.clone(),
            },
            left_out: Arc::default(),
        }
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
