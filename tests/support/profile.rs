//! A CPU profile as `go build -pgo` reads it, that says of calls in `serve` that they are hot. What a profile of real load says of
//! them depends on where a handful of samples fall; this one always says the same.
//!
//! The format is pprof's `profile.proto`; the compiler wants names, the functions' first lines, and the line of the call.

use std::path::Path;

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

/// A call in `(*conn).serve`: its text, the callee's declaration, and the callee.
pub type Hot = (&'static str, &'static str, &'static str);

/// The handler.
pub const SERVE_HTTP: Hot = (
    "serverHandler{c.server}.ServeHTTP(w, w.req)",
    "func (sh serverHandler) ServeHTTP(",
    "net/http.serverHandler.ServeHTTP",
);
/// What comes behind it.
pub const FINISH_REQUEST: Hot =
    ("w.finishRequest()", "func (w *response) finishRequest()", "net/http.(*response).finishRequest");

/// The profile for the standard library of the Go toolchain at `root`: `serve` makes these calls all the time.
pub fn serve_is_hot(root: &Path, calls: &[Hot]) -> Result<Vec<u8>> {
    let source =
        std::fs::read_to_string(root.join("src/net/http/server.go")).context("net/http/server.go")?;
    let line = |text: &str, from: usize| {
        let mut lines = source.lines().enumerate().skip(from);
        lines.find(|(_, line)| line.contains(text)).map(|(at, _)| at).with_context(|| format!("no {text}"))
    };
    let number = |at: usize| i64::try_from(at + 1).context("a line number");
    let serve = line("func (c *conn) serve(", 0)?;
    let mut profile = Profile {
        sample_type: vec![ValueType { name: 1, unit: 2 }],
        sample: Vec::new(),
        location: Vec::new(),
        function: vec![Function { id: 1, name: 3, system_name: 3, start_line: number(serve)? }],
        string_table: ["", "samples", "count", "net/http.(*conn).serve"].map(str::to_owned).to_vec(),
    };
    for (id, (text, declared, callee)) in (2..).zip(calls) {
        let (call, declared) = (line(text, serve)?, line(declared, 0)?);
        let name = i64::try_from(profile.string_table.len())?;
        profile.string_table.push((*callee).to_owned());
        profile.function.push(Function { id, name, system_name: name, start_line: number(declared)? });
        // Locations are numbered too: the call is the even one, what is in the callee the odd one behind it.
        let line =
            |function_id, at| -> Result<Vec<Line>> { Ok(vec![Line { function_id, line: number(at)? }]) };
        profile.location.push(Location { id: 2 * id, line: line(1, call)? });
        profile.location.push(Location { id: 2 * id + 1, line: line(id, declared + 1)? });
        profile.sample.push(Sample { location_id: vec![2 * id + 1, 2 * id], value: vec![1000] });
    }
    Ok(profile.encode_to_vec())
}
