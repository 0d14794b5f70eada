//! A CPU profile as `go build -pgo` reads it, that says of one call that it is hot. What a profile of real load says of
//! `serve`'s call of `serverHandler.ServeHTTP` depends on where a handful of samples fall; this one always says the same.
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

/// The profile for the standard library of the Go toolchain at `root`: `serve` calls `serverHandler.ServeHTTP` all the time.
pub fn serve_http_is_hot(root: &Path) -> Result<Vec<u8>> {
    let source =
        std::fs::read_to_string(root.join("src/net/http/server.go")).context("net/http/server.go")?;
    let line = |text: &str, from: usize| {
        let mut lines = source.lines().enumerate().skip(from);
        lines.find(|(_, line)| line.contains(text)).map(|(at, _)| at).with_context(|| format!("no {text}"))
    };
    let serve = line("func (c *conn) serve(", 0)?;
    let call = line("serverHandler{c.server}.ServeHTTP(w, w.req)", serve)?;
    let callee = line("func (sh serverHandler) ServeHTTP(", 0)?;
    let number = |at: usize| i64::try_from(at + 1).context("a line number");
    let function = |id: u64, name: i64, start: usize| -> Result<Function> {
        Ok(Function { id, name, system_name: name, start_line: number(start)? })
    };
    let location = |id: u64, at: usize| -> Result<Location> {
        Ok(Location { id, line: vec![Line { function_id: id, line: number(at)? }] })
    };
    let profile = Profile {
        sample_type: vec![ValueType { name: 1, unit: 2 }],
        sample: vec![Sample { location_id: vec![2, 1], value: vec![1000] }],
        location: vec![location(1, call)?, location(2, callee + 1)?],
        function: vec![function(1, 3, serve)?, function(2, 4, callee)?],
        string_table: ["", "samples", "count", "net/http.(*conn).serve", "net/http.serverHandler.ServeHTTP"]
            .map(str::to_owned)
            .to_vec(),
    };
    Ok(profile.encode_to_vec())
}
