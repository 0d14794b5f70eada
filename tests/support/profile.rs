//! A CPU profile as `go build -pgo` reads it, that says of certain calls that they are hot. What a profile of real load says of
//! them depends on where a handful of samples fall; this one always says the same.
//!
//! The format is pprof's `profile.proto`; the compiler wants names, the functions' first lines, and the line of the call.

use std::path::Path;

use analyzer::plan::{Library, Severity};
use anyhow::{Context, Result};
use prost::Message;

#[derive(Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
}

#[derive(Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    name: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Message)]
struct Sample {
    /// The leaf first.
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "5")]
    start_line: i64,
}

/// A call that a profile says is made all the time.
#[derive(Debug, Clone, Copy)]
pub struct Hot {
    /// Where caller and callee are, below the sources of one package. Releases that have it elsewhere, or do not have it, have no such call.
    pub file: &'static str,
    /// The caller's declaration, and its name.
    pub caller: (&'static str, &'static str),
    /// The call's text.
    pub call: &'static str,
    /// The callee's declaration, and its name.
    pub callee: (&'static str, &'static str),
}

const SERVER: &str = "server.go";
const SERVE: (&str, &str) = ("func (c *conn) serve(", "net/http.(*conn).serve");

/// The handler.
pub const SERVE_HTTP: Hot = Hot {
    file: SERVER,
    caller: SERVE,
    call: "serverHandler{c.server}.ServeHTTP(w, w.req)",
    callee: ("func (sh serverHandler) ServeHTTP(", "net/http.serverHandler.ServeHTTP"),
};
/// What comes behind it.
pub const FINISH_REQUEST: Hot = Hot {
    file: SERVER,
    caller: SERVE,
    call: "w.finishRequest()",
    callee: ("func (w *response) finishRequest()", "net/http.(*response).finishRequest"),
};
/// A round trip over HTTP/2, as it is bundled into net/http.
pub const BUNDLED_ROUND_TRIP: Hot = Hot {
    file: "h2_bundle.go",
    caller: ("func (t *http2Transport) RoundTrip(", "net/http.(*http2Transport).RoundTrip"),
    call: "t.RoundTripOpt(req, http2RoundTripOpt{})",
    callee: ("func (t *http2Transport) RoundTripOpt(", "net/http.(*http2Transport).RoundTripOpt"),
};
/// The same in the package that it has since Go 1.27.
pub const INTERNAL_ROUND_TRIP: Hot = Hot {
    file: "internal/http2/transport.go",
    caller: ("func (t *Transport) RoundTrip(", "net/http/internal/http2.(*Transport).RoundTrip"),
    call: "t.RoundTripOpt(req, RoundTripOpt{})",
    callee: ("func (t *Transport) RoundTripOpt(", "net/http/internal/http2.(*Transport).RoundTripOpt"),
};

/// The profile for the package whose sources are there: these calls are made all the time.
pub fn of_calls(package: &Path, calls: &[Hot]) -> Result<Vec<u8>> {
    let mut profile = Profile {
        sample_type: vec![ValueType { name: 1, unit: 2 }],
        sample: Vec::new(),
        location: Vec::new(),
        function: Vec::new(),
        string_table: ["", "samples", "count"].map(str::to_owned).to_vec(),
    };
    for call in calls {
        let file = package.join(call.file);
        if file.is_file() {
            let source = std::fs::read_to_string(&file).context(call.file)?;
            profile.add(&source, call).context(call.file)?;
        }
    }
    Ok(profile.encode_to_vec())
}

impl Profile {
    fn add(&mut self, source: &str, hot: &Hot) -> Result<()> {
        let line = |text: &str, from: usize| {
            let mut lines = source.lines().enumerate().skip(from);
            let found = lines.find(|(_, line)| line.contains(text)).map(|(at, _)| at);
            found.with_context(|| format!("no {text}"))
        };
        let caller = line(hot.caller.0, 0)?;
        let (call, callee) = (line(hot.call, caller)?, line(hot.callee.0, 0)?);
        let from = self.location(hot.caller.1, caller, call)?;
        let to = self.location(hot.callee.1, callee, callee + 1)?;
        self.sample.push(Sample { location_id: vec![to, from], value: vec![1000] });
        Ok(())
    }

    /// A line of a function that is declared at another one; gives the number of the location.
    fn location(&mut self, name: &str, declared: usize, line: usize) -> Result<u64> {
        let number = |at: usize| i64::try_from(at + 1).context("a line number");
        let function_id = u64::try_from(self.function.len() + 1)?;
        let at = i64::try_from(self.string_table.len())?;
        self.string_table.push(name.to_owned());
        let start_line = number(declared)?;
        self.function.push(Function { id: function_id, name: at, system_name: at, start_line });
        let id = u64::try_from(self.location.len() + 1)?;
        self.location.push(Location { id, line: vec![Line { function_id, line: number(line)? }] });
        Ok(id)
    }
}

/// What a library's spans are without in such a build, but for what is written where the kernel lets probes write: where samples fall is chance, so a
/// profile may copy the functions that are written at, which is said and loses no span.
pub fn missing(library: &Library) -> Vec<&str> {
    let losses = library.findings.iter().filter(|finding| finding.severity == Severity::Loss);
    let texts = losses.map(|finding| finding.loses.as_deref().unwrap_or(&finding.message));
    texts.filter(|text| !text.ends_with("where the kernel lets probes write")).collect()
}
