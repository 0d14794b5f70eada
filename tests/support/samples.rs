//! OpenTelemetry's own end-to-end applications, written anew: each prints a line when it is ready, waits for SIGUSR1, does its work, and
//! leaves. What is seen of one under the agent, and how a test says what is due.

use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::agent::{self, losses, strobe};
use crate::collector::Collector;
use crate::machine;
use crate::process::{PATIENCE, Running};
use crate::spans::{self, Expected, Parent, Received, Value, Want};

/// How long its work may take: members of a group of Kafka's wait for each other.
const LIMIT: Duration = Duration::from_secs(120);

/// What such an application says of itself.
pub const NAME: &str = "sample-app";

/// The application and the agent when both have ended, and the spans that came.
#[derive(Debug)]
pub struct Ran {
    app: Running,
    agent: Running,
    /// In the order in which they came.
    pub spans: Vec<Received>,
}

impl Ran {
    /// Runs it with variables of its own under an agent with these: the application does its work and leaves, and the agent leaves after
    /// it, with all that there was to see. Nothing is lost, and all is the application's.
    pub fn of(built: &Path, own: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Self> {
        Self::with(built, &[], own, variables)
    }

    /// The same of one that has arguments.
    pub fn with(
        built: &Path,
        arguments: &[&str],
        own: &[(&str, &str)],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        machine::require_probes()?;
        let folder = tempfile::tempdir().context("a folder for the test")?;
        let program = folder.path().join("app");
        machine::copy_program(built, &program)?;
        let collector = Collector::start()?;
        let mut command = Command::new(&program);
        command.args(arguments);
        let mut app = Running::start(command.env("OTEL_SERVICE_NAME", NAME).envs(own.iter().copied()))?;
        // Any line: it is ready.
        app.expect_stdout("", 0)?;
        let mut command = strobe(&["run", "--pid", &app.pid().to_string()])?;
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()).env("OTEL_TRACES_EXPORTER", "otlp");
        let mut agent = Running::start(command.envs(variables.iter().copied()))?;
        agent.expect_stderr(&agent::tracing(app.pid()), 0)?;
        let plan = analyzer::plan_file(built, &analyzer::Options::default(), &[])?;
        let mut variables = plan.libraries.iter().flat_map(|library| &library.variables);
        if variables.any(|variable| !variable.wants_ids) {
            agent.expect_stderr(agent::HANDED, 0)?;
        }
        app.signal(libc::SIGUSR1)?;
        let status = app.wait(LIMIT)?;
        ensure!(status.success(), "the application ended with {status}:\n{}", app.output());
        let status = agent.wait(PATIENCE)?;
        ensure!(status.success(), "strobe ended with {status}:\n{}", agent.output());
        let spans = collector.take()?;
        let named = |service: Option<&Value>| service == Some(&Value::from(NAME));
        ensure!(spans.iter().all(|span| named(span.resource.get("service.name"))), "{spans:?}");
        ensure!(losses(&agent).is_empty(), "{}", agent.output());
        Ok(Self { app, agent, spans })
    }

    /// The last word of the `nth` line (from 0) that the application printed with this in it.
    pub fn said<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
        &self,
        text: &str,
        nth: usize,
    ) -> Result<T> {
        let line = self.app.expect_stdout(text, nth)?;
        let word = line.rsplit(' ').next().unwrap_or_default();
        word.parse().with_context(|| format!("the last word of {line:?}"))
    }

    /// The line itself, without its first word.
    pub fn told(&self, text: &str) -> Result<String> {
        let line = self.app.expect_stdout(text, 0)?;
        Ok(line.split_once(' ').unwrap_or_default().1.to_owned())
    }

    /// These spans came, of these scopes, and no others.
    pub fn are(&self, due: &[Expected], scopes: &[&str]) -> Result<()> {
        self.hold(spans::compare(due, &self.spans), scopes)
    }

    /// The same where those of one operation have a trace in common, and no parent.
    pub fn are_sharing(&self, due: &[Expected], scopes: &[&str]) -> Result<()> {
        self.hold(spans::compare_sharing(due, &self.spans), scopes)
    }

    fn hold(&self, compared: Result<(), String>, scopes: &[&str]) -> Result<()> {
        if let Err(differences) = compared {
            anyhow::bail!("{differences}\n{}", self.agent.output());
        }
        for scope in scopes {
            let is_there = self.spans.iter().any(|span| span.scope == *scope);
            ensure!(is_there, "no span is of {scope}");
        }
        let other = self.spans.iter().find(|span| !scopes.contains(&span.scope.as_str()));
        ensure!(other.is_none(), "a span of another scope: {other:?}");
        Ok(())
    }

    /// The only one of this kind and name.
    pub fn only(&self, kind: SpanKind, name: &str) -> Result<&Received> {
        let is_it = |span: &&Received| span.span.kind() == kind && span.span.name == name;
        let found: Vec<&Received> = self.spans.iter().filter(is_it).collect();
        match found[..] {
            [one] => Ok(one),
            _ => anyhow::bail!("{} spans are {kind:?} {name:?}: {:?}", found.len(), self.spans),
        }
    }
}

/// A span that begins a trace and has not failed.
pub fn span(kind: SpanKind, name: &str, text: &[(&str, &str)], numbers: &[(&str, u16)]) -> Expected {
    let text = text.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
    let numbers = numbers.iter().map(|(name, value)| ((*name).to_owned(), Value::from(i64::from(*value))));
    let attributes: spans::Attributes = text.chain(numbers).collect();
    Expected {
        key: spans::key(&attributes),
        name: name.to_owned(),
        kind,
        error: false,
        parent: Parent::None,
        flags: 0x101,
        attributes: attributes.into_iter().map(|(name, value)| (name, Want::Is(value))).collect(),
        children: Vec::new(),
    }
}

/// One that has failed.
pub fn failed(span: Expected, error: &str) -> Expected {
    let mut span = Expected { error: true, ..span };
    span.attributes.insert("error.type".to_owned(), Want::Is(error.into()));
    span
}
