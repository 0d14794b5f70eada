//! Which libraries are traced. The names follow those of OpenTelemetry's automatic instrumentation of .NET
//! (`OTEL_DOTNET_AUTO_INSTRUMENTATION_ENABLED`, `OTEL_DOTNET_AUTO_TRACES_{0}_INSTRUMENTATION_ENABLED`), since the specification has none.

use std::ffi::OsString;

use crate::{libraries, spans::Kind};

use super::env::Env;

/// Whether libraries are traced of which nothing else is said; default true.
pub const INSTRUMENTATION_ENABLED: &str = "OTEL_GO_AUTO_INSTRUMENTATION_ENABLED";

/// Whether anything may be written into a program that is traced; default true.
pub const WRITE: &str = "STROBE_WRITE";

/// What is switched off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SwitchedOff {
    /// Libraries, with the variable that says so.
    libraries: Vec<(&'static str, String)>,
    /// Writing into programs.
    writing: bool,
    /// What probes may write: nothing, until it is known that the kernel lets them.
    telling: bool,
    /// Whether both ends of a connection are brought together.
    correlation: bool,
    /// Why no trace context is written into requests, whatever probes may do.
    no_contexts: Option<String>,
}

impl SwitchedOff {
    pub(super) fn from_env(env: &mut Env<'_>) -> Self {
        let all = env.switch(INSTRUMENTATION_ENABLED).map(|on| (on, INSTRUMENTATION_ENABLED.to_owned()));
        let mut off = Vec::new();
        // Each variable is asked once, so that what is wrong with it is said once.
        let kinds: Vec<(Kind, Option<(bool, String)>)> =
            KINDS.iter().map(|&(kind, name)| (kind, said(env, name))).collect();
        for library in libraries::ALL {
            let of_kind =
                kinds.iter().find(|(kind, _)| *kind == library.kind()).and_then(|(_, said)| said.clone());
            let verdict = said(env, &word(library.id())).or(of_kind).or_else(|| all.clone());
            if let Some((false, variable)) = verdict {
                off.push((library.id(), variable));
            }
        }
        Self { libraries: off, writing: env.switch(WRITE) == Some(false), ..Self::default() }
    }

    /// The variable that switches this library off, if one does.
    pub fn by(&self, id: &str) -> Option<&str> {
        self.libraries.iter().find(|(off, _)| *off == id).map(|(_, variable)| variable.as_str())
    }

    /// The variables that have switched everything off, if nothing is left.
    pub fn everything(&self) -> Option<Vec<&str>> {
        let mut variables: Vec<&str> = self.libraries.iter().map(|(_, variable)| variable.as_str()).collect();
        variables.sort_unstable();
        variables.dedup();
        (self.libraries.len() == libraries::ALL.len()).then_some(variables)
    }

    /// The same with probes that write, if the kernel lets them and nobody has forbidden it.
    pub fn with_telling(self, kernel_allows: bool) -> Self {
        Self { telling: kernel_allows && !self.writing, ..self }
    }

    /// The same with what brings both ends of a connection together, or without.
    pub fn with_correlation(self, correlation: bool) -> Self {
        Self { correlation, ..self }
    }

    /// Whether both ends of a connection are brought together.
    pub fn correlating(&self) -> bool {
        self.correlation
    }

    /// The same without trace contexts in requests, for this reason.
    pub fn without_contexts(self, reason: Option<String>) -> Self {
        Self { no_contexts: reason, ..self }
    }

    /// Why no trace context is written into requests; `None`: it is.
    pub fn no_contexts(&self) -> Option<String> {
        match (&self.no_contexts, self.writing, self.telling) {
            (Some(reason), ..) => Some(reason.clone()),
            (None, true, _) => Some(format!("{WRITE} is false")),
            (None, false, false) => {
                Some("the kernel does not let probes write (`strobe features`)".to_owned())
            }
            (None, false, true) => None,
        }
    }

    /// Whether programs are told the ids of the spans that they make.
    pub fn telling(&self) -> bool {
        self.telling
    }

    /// Whether nothing may be written into programs.
    pub fn writing(&self) -> bool {
        self.writing
    }
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::Server, "SERVER"),
    (Kind::Client, "CLIENT"),
    (Kind::Producer, "PRODUCER"),
    (Kind::Consumer, "CONSUMER"),
    (Kind::Internal, "INTERNAL"),
];

const BEFORE: &str = "OTEL_GO_AUTO_TRACES_";
const BEHIND: &str = "_INSTRUMENTATION_ENABLED";

/// What the variable of a library or a kind says, and its name.
fn said(env: &mut Env<'_>, name: &str) -> Option<(bool, String)> {
    let variable = format!("{BEFORE}{name}{BEHIND}");
    env.switch(&variable).map(|on| (on, variable))
}

/// Warnings about variables of this environment that look like a switch and name neither a kind nor a library: who has
/// mistyped one would wait for its effect.
pub(super) fn unknown(variables: impl Iterator<Item = OsString>) -> Vec<String> {
    let is_known = |name: &str| {
        KINDS.iter().any(|(_, kind)| *kind == name) || libraries::ALL.iter().any(|l| word(l.id()) == name)
    };
    let mut unknown: Vec<String> = variables
        .filter_map(|variable| variable.into_string().ok())
        .filter(|variable| {
            let name = variable.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(BEHIND));
            name.is_some_and(|name| !is_known(name))
        })
        .collect();
    unknown.sort_unstable();
    unknown
        .iter()
        .map(|variable| format!("{variable} names no library that is traced; it is ignored"))
        .collect()
}

/// A catalog id as a part of a variable's name: `NET_HTTP_SERVER`.
fn word(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "net/http.server";
    const OF_SERVER: &str = "OTEL_GO_AUTO_TRACES_NET_HTTP_SERVER_INSTRUMENTATION_ENABLED";
    const OF_KIND: &str = "OTEL_GO_AUTO_TRACES_SERVER_INSTRUMENTATION_ENABLED";

    fn off(variables: &[(&str, &str)]) -> (SwitchedOff, Vec<String>) {
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let get = move |name: &str| variables.iter().find(|(n, _)| n == name).map(|(_, value)| value.into());
        let mut env = Env::new(&get);
        (SwitchedOff::from_env(&mut env), env.warnings)
    }

    #[test]
    fn the_library_beats_its_kind_and_its_kind_beats_the_whole() {
        for (variables, expected) in [
            (&[][..], None),
            (&[(INSTRUMENTATION_ENABLED, "false")], Some(INSTRUMENTATION_ENABLED)),
            (&[(OF_KIND, "False")], Some(OF_KIND)),
            (&[(OF_SERVER, "false")], Some(OF_SERVER)),
            (&[(INSTRUMENTATION_ENABLED, "false"), (OF_KIND, "true")], None),
            (&[(OF_KIND, "true"), (OF_SERVER, "false")], Some(OF_SERVER)),
            (&[(OF_KIND, "false"), (OF_SERVER, "true")], None),
        ] {
            let (off, warnings) = off(variables);
            assert_eq!(off.by(SERVER), expected, "{variables:?}");
            assert!(warnings.is_empty(), "{warnings:?}");
        }
    }

    #[test]
    fn everything_is_off_only_where_nothing_is_left() {
        let all = off(&[(INSTRUMENTATION_ENABLED, "false")]).0;
        assert_eq!(all.everything(), Some(vec![INSTRUMENTATION_ENABLED]));
        assert_eq!(off(&[(INSTRUMENTATION_ENABLED, "false"), (OF_SERVER, "true")]).0.everything(), None);
        assert_eq!(off(&[]).0.everything(), None);
    }

    #[test]
    fn names_that_nothing_goes_by_are_warned_about() {
        let names = [
            OF_SERVER,
            OF_KIND,
            INSTRUMENTATION_ENABLED,
            "OTEL_GO_AUTO_TRACES_net_http_client_INSTRUMENTATION_ENABLED",
            "OTEL_GO_AUTO_TRACES_GRPC_INSTRUMENTATION_ENABLED",
            "OTEL_GO_AUTO_TRACES_SERVER",
            "PATH",
        ];
        let warnings = unknown(names.iter().map(OsString::from));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("GRPC") && warnings[1].contains("net_http_client"), "{warnings:?}");
    }

    #[test]
    fn what_is_neither_is_warned_about_once_and_ignored() {
        let (off, warnings) = off(&[(OF_KIND, "0")]);
        assert_eq!(off.by(SERVER), None);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(OF_KIND), "{warnings:?}");
    }
}
