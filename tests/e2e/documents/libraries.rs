//! docs/libraries.md is made of the catalog's operations, and what they say of one another and of the programs is so.
//!
//! That the attributes are those of the code is a test of `tests/rooms` (`attributes`); that no more probes are hit is one of
//! `scripts/bench http`, which takes its numbers from here.

use std::env;
use std::fmt::Write as _;
use std::fs;

use analyzer::go::release;
use anyhow::{Context as _, Result, ensure};
use aya_obj::Object;
use offsets::catalog::{Attribute, Entry, Hits, Makes, Operation, Range, SpanKind};
use offsets::{STD, Version};
use strobe_tests::{catalog, golang, machine};

const FILE: &str = "docs/libraries.md";
/// What writes it anew.
const BLESS: &str = "STROBE_BLESS=1 cargo test --release --workspace --test documents libraries";

#[test]
fn libraries_are_those_of_the_catalog() -> Result<()> {
    let (path, rendered) = (machine::workspace().join(FILE), document(&catalog::traced()?)?);
    if env::var_os("STROBE_BLESS").is_some() {
        fs::write(&path, &rendered).with_context(|| path.display().to_string())?;
    }
    let written = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines = written.lines().zip(rendered.lines()).position(|(written, rendered)| written != rendered);
    let first = lines.unwrap_or_else(|| written.lines().count().min(rendered.lines().count()));
    ensure!(
        written == rendered,
        "{FILE}:{} is not what the catalog says:\n  {}\nis due; `{BLESS}` writes it",
        first + 1,
        rendered.lines().nth(first).unwrap_or("nothing more")
    );
    Ok(())
}

/// What has no spans of its own adds to those of others: these are there, make spans, and say so of their attributes.
#[test]
fn what_adds_to_spans_adds_to_some_that_are_made() -> Result<()> {
    let entries = catalog::traced()?;
    for entry in &entries {
        for operation in &entry.operations {
            let Makes::AddsTo(ids) = &operation.makes else { continue };
            for id in ids {
                let makers = catalog::operations(&entries, id).iter();
                let makers: Vec<_> =
                    makers.filter(|other| matches!(other.makes, Makes::Span { .. })).collect();
                let place = format!("{}:{}", entry.file, operation.line);
                ensure!(!makers.is_empty(), "{place}: adds_to: {id} makes no spans");
                for Attribute { key, .. } in &operation.attributes {
                    let is_named = |other: &&Operation| other.attributes.iter().any(|one| one.key == *key);
                    ensure!(makers.iter().any(is_named), "{place}: attributes: {id} has no {key}");
                }
            }
        }
    }
    Ok(())
}

/// No program calls the helper that writes into a process, unless an operation says that something is written.
#[test]
fn nothing_is_written_into_the_target_that_is_not_said() -> Result<()> {
    /// `BPF_JMP | BPF_CALL`, of a helper where the source register says 0 (include/uapi/linux/bpf.h).
    const CALL: u8 = 0x85;
    /// `bpf_probe_read_user` and `bpf_probe_write_user`.
    const READ: i32 = 112;
    const WRITE: i32 = 36;
    let traced = catalog::traced()?;
    let is_said = traced.iter().flat_map(|entry| &entry.operations).any(|one| one.writes.is_some());
    let object = Object::parse(runtime_ebpf::object()).context("parse the eBPF object")?;
    let calls = |helper: i32| {
        let is_it = |code: &aya_obj::generated::bpf_insn| {
            code.code == CALL && code.src_reg() == 0 && code.imm == helper
        };
        object.functions.values().any(|function| function.instructions.iter().any(is_it))
    };
    ensure!(calls(READ), "no program reads anything: what has become of its calls?");
    ensure!(
        calls(WRITE) == is_said,
        "programs write into the target: {}; operations say so: {is_said}",
        calls(WRITE)
    );
    Ok(())
}

/// The whole text.
fn document(entries: &[Entry]) -> Result<String> {
    let libraries = libraries(entries);
    let mut text = head();
    text += "\n| library | id | versions | of it |\n|---|---|---|---|\n";
    for library in &libraries {
        let Library { entry, versions } = library;
        let of_it = match entry.operations.iter().find_map(spans) {
            Some(kind) => format!("{} spans", word(kind)),
            None => "an attribute of servers' spans".to_owned(),
        };
        let anchor = anchor(&entry.title);
        writeln!(text, "| [{}](#{anchor}) | `{}` | {versions} | {of_it} |", entry.title, entry.id)?;
    }
    for library in &libraries {
        section(&mut text, library)?;
    }
    Ok(text)
}

fn head() -> String {
    format!(
        "# The libraries that are traced

<!-- Written by a test from the [[operation]] tables of offsets/catalog/*.toml. Change those, then:
     {BLESS} -->

For each library what it makes spans of, what they can hold, and how many probes an operation hits. This page is made of
[the catalog](../offsets/catalog/README.md); what stands behind the attributes, and what is not traced, is in
[strobe.md](strobe.md#what-is-traced). All of it is for programs built with Go 1.{} to 1.{}.

- A span's **name** is the first of those listed whose parts are known. `{{method}}` is `HTTP`, and a gRPC span `grpc`, where the
  attribute is `_OTHER`.
- **Always** there is an attribute that could be read: what lies in memory that is not present at that moment, or is longer
  than there is room for, is left out of its span (`reads.failed` and the like in [strobe.md](strobe.md#what-is-lost-is-counted)).
- **Probe hits** are those of one operation in a plain build for amd64, and where the number was seen.
",
        golang::traced().first().map_or(0, |oldest| golang::minor(oldest)),
        release::newest().0
    )
}

/// A library, whichever of its packages a program has.
struct Library<'a> {
    entry: &'a Entry,
    versions: String,
}

/// Each id once: those that make spans first, the standard library's before others.
fn libraries(entries: &[Entry]) -> Vec<Library<'_>> {
    let mut all: Vec<(&Entry, Range)> = Vec::new();
    for entry in entries {
        match all.iter_mut().find(|(other, _)| other.id == entry.id) {
            // Packages that have come one after another: entries of one id are of one module, and do not overlap.
            Some((_, range)) => range.until = entry.versions.until.clone(),
            None => all.push((entry, entry.versions.clone())),
        }
    }
    all.sort_by_key(|(entry, _)| {
        (entry.operations.iter().find_map(spans).is_none(), entry.module != STD, entry.id.clone())
    });
    all.into_iter()
        .map(|(entry, range)| Library { entry, versions: versions(&entry.module, &range) })
        .collect()
}

fn versions(module: &str, range: &Range) -> String {
    let shown = |version: &Version| match (module, version.to_string()) {
        (STD, text) => text.strip_suffix(".0").unwrap_or(&text).to_owned(),
        (_, text) => text,
    };
    match (range.since.as_ref().map(shown), range.until.as_ref().map(shown)) {
        (None, None) => "all".to_owned(),
        (Some(since), None) if module == STD => format!("Go {since} to 1.{}", release::newest().0),
        (Some(since), None) => format!("{since} and newer"),
        (Some(since), Some(until)) => format!("{since} and newer, before {until}"),
        (None, Some(until)) => format!("before {until}"),
    }
}

fn spans(operation: &Operation) -> Option<SpanKind> {
    match operation.makes {
        Makes::Span { kind, .. } => Some(kind),
        Makes::AddsTo(_) => None,
    }
}

/// A kind as the semantic conventions write it.
fn word(kind: SpanKind) -> String {
    let word = SpanKind::WORDS.iter().find(|(_, own)| *own == kind).map_or("", |(word, _)| word);
    word.to_uppercase()
}

/// The name by which a heading is linked to.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn section(text: &mut String, library: &Library<'_>) -> Result<()> {
    let Library { entry, versions } = library;
    let module =
        if entry.module == STD { "the standard library".to_owned() } else { format!("`{}`", entry.module) };
    let mut written: Vec<String> = entry.operations.iter().filter_map(|one| one.writes.clone()).collect();
    for role in entry.roles.iter().filter(|role| role.variable.is_some()) {
        let callees = role.sites.iter().filter_map(|site| site.callee.as_deref());
        let gives = role.gives.as_deref().unwrap_or_default();
        written.extend(callees.map(|callee| {
            format!("for {gives}: `true` into the byte of the program's own to which `{callee}` is given a pointer (no helper, so no lockdown is in the way; `STROBE_WRITE`)")
        }));
    }
    let written = if written.is_empty() { "nothing".to_owned() } else { written.join("; ") };
    write!(
        text,
        "\n## {}\n\n| | |\n|---|---|\n| id | `{}` |\n| module | {module} |\n| versions | {versions} |\n\
         | written into the target | {written} |\n| its catalog entry | [{}](../offsets/catalog/{}) |\n",
        entry.title, entry.id, entry.file, entry.file
    )?;
    for operation in &entry.operations {
        self::operation(text, &entry.module, operation)?;
    }
    Ok(())
}

fn operation(text: &mut String, module: &str, operation: &Operation) -> Result<()> {
    let Operation { what, makes, hits, hits_from, attributes, own_attributes, versions: range, .. } =
        operation;
    let since = match range {
        Range { since: None, until: None } => String::new(),
        range => format!(" ({})", versions(module, range)),
    };
    writeln!(text, "\n**{}**{since}\n", capital(what))?;
    match makes {
        Makes::Span { names, kind } => {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let article = if *kind == SpanKind::Internal { "an" } else { "a" };
            writeln!(text, "- {article} {} span, {}", word(*kind), names.join(", else "))?;
        }
        Makes::AddsTo(ids) => {
            let ids: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
            writeln!(text, "- no span of its own: what follows goes into that of {}", ids.join(", "))?;
        }
    }
    let hits: Vec<String> = hits.iter().map(hit).collect();
    writeln!(text, "- probe hits: {} ({hits_from})", hits.join("; "))?;
    if *own_attributes {
        text.push_str("- the attributes, events, links and status that the program gives it\n");
    }
    if attributes.is_empty() {
        return Ok(());
    }
    text.push_str("\n| attribute | when |\n|---|---|\n");
    for Attribute { key, when } in attributes {
        writeln!(text, "| `{key}` | {} |", when.as_deref().unwrap_or("always"))?;
    }
    Ok(())
}

fn hit(hits: &Hits) -> String {
    hits.when.as_ref().map_or_else(|| hits.number.to_string(), |when| format!("{} {when}", hits.number))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[test]
fn a_heading_is_linked_to_by_its_letters() {
    assert_eq!(anchor("net/http server, HTTP/1.x"), "nethttp-server-http1x");
    assert_eq!(anchor("golang.org/x/net/http2, client"), "golangorgxnethttp2-client");
}
