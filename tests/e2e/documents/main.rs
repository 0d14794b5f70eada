//! The documentation's examples: each fence of `console` is run as it stands, and prints what stands below its commands.
//!
//! A line `$ COMMAND` is a command, what follows up to the next one is what it prints, on either stream; `…` alone on a line is
//! any lines. A command with nothing below it has to succeed. All commands of a fence run in one shell, in a folder with a copy of
//! the data; what needs the network ends its fence, and is named. A fence of `python` behind the line `` `NAME`: `` is that file.
//!
//! And [`libraries`]: the page that is made of the catalog, and [`peers`]: the one whose rows are tests.

mod libraries;
mod peers;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use strobe_tests::{machine, programs};

/// What cannot run here, and why. One that no example has any more has to go.
const NOT_HERE: [(&str, &str); 2] = [
    (
        "offsetgen build",
        "asks the module proxy which versions there are; `a_newcomer_adds_a_library` does it",
    ),
    ("offsetgen toolchain", "asks the module proxy for the newest patch, and fetches it"),
];
/// Between what two commands print.
const MARK: &str = "=== the next command ===";

struct Example {
    place: String,
    command: String,
    printed: Vec<String>,
}

#[test]
fn every_console_example_prints_what_it_shows() -> Result<()> {
    let (mut run, mut failures, mut used) = (0, Vec::new(), Vec::new());
    for document in documents()? {
        let text = fs::read_to_string(machine::workspace().join(&document))?;
        let stage = stage(&text)?;
        for mut fence in fences(&document, &text) {
            let stops = |example: &Example| NOT_HERE.iter().find(|(word, _)| example.command.contains(word));
            if let Some(place) = fence.iter().position(|example| stops(example).is_some()) {
                for example in fence.split_off(place) {
                    let why = stops(&example).map_or("needs the one before it", |(_, why)| why);
                    println!("not run  {}: {}: {why}", example.place, example.command);
                    used.extend(stops(&example).map(|(word, _)| *word));
                }
            }
            run += fence.len();
            failures.extend(differences(&fence, stage.path())?);
        }
    }
    println!("{run} examples were run");
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    ensure!(run > 0, "no example was found");
    let idle: Vec<_> = NOT_HERE.iter().filter(|(word, _)| !used.contains(word)).collect();
    ensure!(idle.is_empty(), "no example has these any more: {idle:?}");
    Ok(())
}

/// The README, all of docs/, and the catalog's README.
fn documents() -> Result<Vec<String>> {
    let mut all = vec!["README.md".to_owned(), "offsets/catalog/README.md".to_owned()];
    for folder in ["docs", "docs/decisions"] {
        for entry in fs::read_dir(machine::workspace().join(folder))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                all.push(format!("{folder}/{name}"));
            }
        }
    }
    all.sort();
    Ok(all)
}

/// A folder with the data, and with the files that the document shows.
fn stage(text: &str) -> Result<tempfile::TempDir> {
    let stage = tempfile::tempdir()?;
    fs::create_dir(stage.path().join("offsets"))?;
    for part in ["data", "catalog"] {
        let from = machine::workspace().join("offsets").join(part);
        machine::run(Command::new("cp").arg("-r").arg(from).arg(stage.path().join("offsets")))?;
    }
    let mut parts = text.split("```python\n");
    let mut before = parts.next().unwrap_or_default();
    for part in parts {
        let named = before.trim_end().lines().last().unwrap_or_default();
        if let Some(name) = named.strip_prefix('`').and_then(|rest| rest.strip_suffix("`:")) {
            let source = part.split("```").next().unwrap_or_default();
            fs::write(stage.path().join(name), source)?;
        }
        before = part;
    }
    Ok(stage)
}

/// The examples of each fence. One in a list is indented, its lines with it.
fn fences(document: &str, text: &str) -> Vec<Vec<Example>> {
    let mut fences: Vec<Vec<Example>> = Vec::new();
    let mut margin = None;
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        match margin {
            None if trimmed == "```console" => {
                margin = Some(line.len() - trimmed.len());
                fences.push(Vec::new());
            }
            Some(_) if trimmed == "```" => margin = None,
            Some(margin) => {
                let line = line.get(margin..).unwrap_or_default();
                let Some(fence) = fences.last_mut() else { continue };
                match (line.strip_prefix("$ "), fence.last_mut()) {
                    (Some(command), _) => fence.push(Example {
                        place: format!("{document}:{}", number + 1),
                        command: command.to_owned(),
                        printed: Vec::new(),
                    }),
                    (None, Some(example)) => example.printed.push(line.to_owned()),
                    (None, None) => {}
                }
            }
            None => {}
        }
    }
    fences
}

/// What each example of a fence prints otherwise.
fn differences(fence: &[Example], stage: &Path) -> Result<Vec<String>> {
    // `$?` of the command before is there for the next one.
    let mut script = String::new();
    for example in fence {
        let Example { command, .. } = example;
        script += &format!("{command}\nstatus=$?; echo; echo \"{MARK} $status\"; (exit $status)\n");
    }
    let bin = programs::path("offsetgen")?;
    let bin = bin.parent().context("a folder")?.display();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("exec 2>&1\n{script}")).current_dir(stage).env("PATH", path);
    let output = shell.stdin(Stdio::null()).output().context("run sh")?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut rest = output.as_str();
    let mut differences = Vec::new();
    for Example { place, command, printed } in fence {
        let (text, behind) = rest.split_once(&format!("\n{MARK} ")).unwrap_or((rest, ""));
        let (status, behind) = behind.split_once('\n').unwrap_or((behind, ""));
        rest = behind;
        let lines: Vec<&str> = text.lines().collect();
        let printed: Vec<&str> = printed.iter().map(String::as_str).collect();
        let fails = printed.is_empty() && status != "0";
        if fails || !printed.is_empty() && !matches(&printed, &lines) {
            let shown = printed.join("\n");
            differences.push(format!("{place}: $ {command}\nshown:\n{shown}\nprinted ({status}):\n{text}"));
        }
    }
    Ok(differences)
}

/// Whether lines are those that are shown, where `…` stands for any.
fn matches(shown: &[&str], lines: &[&str]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((&"…", rest)) => (0..=lines.len()).any(|start| matches(rest, &lines[start..])),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, lines)| line == first && matches(rest, lines))
        }
    }
}
