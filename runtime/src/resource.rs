//! The resource of one traced process: which service it is, in which process, on which host.
//!
//! The entity is the target, never the agent. [`Resource::new`] is pure and takes everything as [`Facts`]; [`process`] holds
//! the thin readers of `/proc`. A process says what it is called and where it belongs; it does not say who it is: what the
//! agent found out itself about process, container, host and agent stands, whatever its environment claims. Only the agent's
//! own configuration beats that, since in a container the agent may see another host name than the operator wants. For other
//! keys the target's environment beats the agent's, and both what was found out (`service.version`).
//!
//! `service.name` is the first of: the target's `OTEL_SERVICE_NAME`, `service.name` in the target's
//! `OTEL_RESOURCE_ATTRIBUTES`, the same two of the agent where it has a single target, and `unknown_service:` with the
//! executable's name. Command lines are left out: they hold secrets. A resource is sent with every batch, so its size is
//! limited ([`limits`]).

use std::path::Path;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource as Message;
use prost::Message as _;
use uuid::Uuid;

use crate::config;
use crate::spans::semconv as key;

pub mod limits;
pub mod process;

pub use limits::{LeftOut, Totals};
pub use process::{HostFacts, ProcessFacts};

/// The name that the agent gives itself.
pub const AGENT_NAME: &str = "strobe";
/// The agent's version.
pub const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Namespace of `service.instance.id` (semantic conventions, `service` registry).
const INSTANCE_NAMESPACE: Uuid = Uuid::from_u128(0x4d63009a_8d0f_11ee_aad7_4c796ed8e320);

/// What the build info of the target's binary says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BinaryFacts {
    /// `go1.26.8`.
    pub go_version: Option<String>,
    /// Version of the main module; `(devel)` counts as none.
    pub main_version: Option<String>,
}

/// What the agent's configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentFacts {
    /// Whether the agent has a single target (`--pid`, one `--exe`, `exec`), which its own service name then names.
    pub single_target: bool,
    /// The agent's `OTEL_SERVICE_NAME`.
    pub service_name: Option<String>,
    /// The agent's `OTEL_RESOURCE_ATTRIBUTES`.
    pub attributes: Vec<(String, String)>,
}

impl AgentFacts {
    /// Which variable of the agent's names a service, and names nobody's, since there are several targets.
    pub fn unused_name(&self) -> Option<&'static str> {
        let by_name = self.service_name.as_ref().map(|_| config::SERVICE_NAME);
        let by_attribute = || named(&self.attributes).map(|_| config::RESOURCE_ATTRIBUTES);
        by_name.or_else(by_attribute).filter(|_| !self.single_target)
    }
}

/// Everything that a resource is made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Of the process.
    pub process: &'a ProcessFacts,
    /// Of its binary.
    pub binary: &'a BinaryFacts,
    /// Of the host.
    pub host: &'a HostFacts,
    /// Of the agent.
    pub agent: &'a AgentFacts,
}

/// The value of a resource attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Str(String),
    /// A number.
    Int(i64),
}

/// A process's resource, with its encoded form: it is sent with every batch and never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// `service.name`.
    pub service_name: String,
    /// All attributes, each key once.
    pub attributes: Vec<(String, Value)>,
    /// The OTLP message `Resource`, encoded.
    pub encoded: Vec<u8>,
    /// What the process claimed and does not stand here.
    pub left_out: LeftOut,
}

impl Resource {
    /// Builds the resource; the second half are warnings for the log.
    pub fn new(facts: Facts<'_>) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let claims = target_attributes(facts.process, &mut warnings);
        let mut set = Set::default();
        set.str(key::SERVICE_NAME, Some(&service_name(facts, &claims)));
        let (identity, other): (Vec<_>, Vec<_>) =
            facts.agent.attributes.iter().partition(|(key, _)| is_identity(key));
        certain(&mut set, facts.process);
        set.pairs(identity);
        found_out(&mut set, facts);
        set.claims(&claims, other.len() + found_out_of_service(facts).len());
        set.pairs(other);
        for (key, value) in found_out_of_service(facts) {
            set.str(key, value.as_deref());
        }
        warnings.extend(set.left_out.warning(facts.process.pid));
        let encoded = encode(&set.attributes);
        let service_name = set.text(key::SERVICE_NAME).unwrap_or_default().to_owned();
        (Self { service_name, attributes: set.attributes, encoded, left_out: set.left_out }, warnings)
    }

    /// The value of a string attribute.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find_map(|(known, value)| match value {
            Value::Str(text) if known == key => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Attributes in order; the first value of a key stays. Limited in number and size, whoever they come from.
#[derive(Default)]
struct Set {
    attributes: Vec<(String, Value)>,
    left_out: LeftOut,
}

impl Set {
    fn put(&mut self, key: &str, value: Value) {
        if self.get(key).is_some() {
            return;
        }
        if self.attributes.len() >= limits::MAX_ATTRIBUTES || key.len() > limits::MAX_KEY_BYTES {
            self.left_out.dropped += 1;
            return;
        }
        self.attributes.push((key.to_owned(), value));
    }

    fn str(&mut self, key: &str, value: Option<&str>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        let kept = limits::value(value);
        if kept.len() < value.len() && self.get(key).is_none() {
            self.left_out.cut += 1;
        }
        self.put(key, Value::Str(kept.to_owned()));
    }

    fn pairs(&mut self, pairs: Vec<&(String, String)>) {
        for (key, value) in pairs {
            self.str(key, Some(value));
        }
    }

    /// What a process says about itself: not against what is known, and with room left for `others` that are to come.
    fn claims(&mut self, claims: &[(String, String)], others: usize) {
        let room = limits::MAX_ATTRIBUTES.saturating_sub(others);
        for (key, value) in claims.iter().filter(|(key, _)| key != key::SERVICE_NAME) {
            match self.get(key) {
                Some(Value::Str(known)) if known == limits::value(value) => {}
                Some(Value::Int(known)) if known.to_string() == *value => {}
                Some(_) => self.left_out.overruled += 1,
                None if self.attributes.len() >= room => self.left_out.dropped += 1,
                None => self.str(key, Some(value)),
            }
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Str(text)) => Some(text),
            _ => None,
        }
    }
}

/// Whether a key says which process, container or host this is, or which agent saw it.
fn is_identity(key: &str) -> bool {
    key == key::CONTAINER_ID
        || ["host.", "os.", "process.", "telemetry."].iter().any(|namespace| key.starts_with(namespace))
}

fn target_attributes(process: &ProcessFacts, warnings: &mut Vec<String>) -> Vec<(String, String)> {
    let Some(text) = &process.resource_attributes else { return Vec::new() };
    config::parse_pairs(text).unwrap_or_else(|why| {
        let name = config::RESOURCE_ATTRIBUTES;
        warnings.push(format!("{name} of process {} cannot be read ({why}); it is ignored", process.pid));
        Vec::new()
    })
}

fn service_name(facts: Facts<'_>, target: &[(String, String)]) -> String {
    let agent = facts.agent;
    let of_agent =
        || agent.service_name.clone().or_else(|| named(&agent.attributes)).filter(|_| agent.single_target);
    let given = facts.process.service_name.clone().or_else(|| named(target)).or_else(of_agent);
    given.filter(|name| !name.is_empty()).unwrap_or_else(|| match executable_name(facts.process) {
        Some(name) => format!("unknown_service:{name}"),
        None => "unknown_service".to_owned(),
    })
}

/// `service.name` among attributes.
fn named(attributes: &[(String, String)]) -> Option<String> {
    attributes.iter().find(|(key, _)| key == key::SERVICE_NAME).map(|(_, value)| value.clone())
}

fn executable_name(process: &ProcessFacts) -> Option<String> {
    process.exe.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned())
}

fn certain(set: &mut Set, process: &ProcessFacts) {
    set.put(key::PROCESS_PID, Value::Int(i64::from(process.namespace_pid.unwrap_or(process.pid))));
    set.str(key::TELEMETRY_SDK_LANGUAGE, Some("go"));
    set.str(key::TELEMETRY_SDK_NAME, Some(AGENT_NAME));
    set.str(key::TELEMETRY_SDK_VERSION, Some(AGENT_VERSION));
    set.str(key::TELEMETRY_DISTRO_NAME, Some(AGENT_NAME));
    set.str(key::TELEMETRY_DISTRO_VERSION, Some(AGENT_VERSION));
}

/// What was found out about identity: it stands, whatever the process claims.
fn found_out(set: &mut Set, Facts { process, binary, host, .. }: Facts<'_>) {
    set.str(key::PROCESS_CREATION_TIME, process.creation_time(host).as_deref());
    set.str(key::PROCESS_EXECUTABLE_NAME, executable_name(process).as_deref());
    set.str(key::PROCESS_EXECUTABLE_PATH, process.exe.as_deref().map(Path::to_string_lossy).as_deref());
    set.str(key::PROCESS_RUNTIME_NAME, Some("go"));
    set.str(key::PROCESS_RUNTIME_VERSION, binary.go_version.as_deref());
    set.str(key::CONTAINER_ID, process.container_id.as_deref());
    set.str(key::HOST_NAME, host.name.as_deref());
    set.str(key::HOST_ARCH, Some(host.arch));
    set.str(key::HOST_ID, host.id.as_deref());
    set.str(key::OS_TYPE, Some("linux"));
}

/// What was found out about the service: a process may know better.
fn found_out_of_service(facts: Facts<'_>) -> [(&'static str, Option<String>); 2] {
    let version = facts.binary.main_version.clone().filter(|version| version != "(devel)");
    [(key::SERVICE_VERSION, version), (key::SERVICE_INSTANCE_ID, instance_id(facts.process, facts.host))]
}

/// Stable for the life of a process, different for the next: the host's boot, the process's id and its start.
fn instance_id(process: &ProcessFacts, host: &HostFacts) -> Option<String> {
    let boot = host.boot_id.as_deref()?;
    let start = process.start_ticks?;
    let name = format!("{boot}/{}/{start}", process.pid);
    Some(Uuid::new_v5(&INSTANCE_NAMESPACE, name.as_bytes()).to_string())
}

fn encode(attributes: &[(String, Value)]) -> Vec<u8> {
    let attributes = attributes.iter().map(|(key, value)| {
        let value = match value {
            Value::Str(text) => any_value::Value::StringValue(text.clone()),
            Value::Int(number) => any_value::Value::IntValue(*number),
        };
        KeyValue { key: key.clone(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
    });
    Message { attributes: attributes.collect(), ..Default::default() }.encode_to_vec()
}

#[cfg(test)]
mod tests;
