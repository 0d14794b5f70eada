//! What is missing of a module, in words: holes that have axis, stage and reason in common stand together, and versions
//! that follow one another are folded.

use std::collections::BTreeMap;

use offsets::database::format::Hole;

use super::coverage::Coverage;
use crate::output::{cut, last_line};

/// Characters of a reason that are shown.
const REASON_LIMIT: usize = 160;
/// A longer run of versions is folded.
const RUN_LIMIT: usize = 4;
/// Columns of a line of versions.
const COLUMNS: usize = 100;

/// The versions that have something in common, and what the first of them said.
#[derive(Default)]
struct Group<'a> {
    said: String,
    versions: Vec<&'a str>,
}

/// What there is to say of a module.
pub fn lines(coverage: &Coverage) -> Vec<String> {
    let mut lines = Vec::new();
    let order: BTreeMap<&str, usize> =
        coverage.order.iter().enumerate().map(|(place, version)| (version.as_str(), place)).collect();
    for ((axis, stage, common), Group { said, versions }) in groups(&coverage.holes) {
        let axis = axis.map(|axis| format!("{axis}, ")).unwrap_or_default();
        let reason = if versions.len() == 1 { said } else { common };
        lines.push(format!("  {axis}{stage} ({}): {}", versions.len(), cut(&reason, REASON_LIMIT)));
        lines.extend(wrapped(&fold(&order, &versions)));
    }
    let words = [("unreached", &coverage.unreached), ("not looked for yet", &coverage.unasked)];
    for (word, (name, versions)) in
        words.iter().flat_map(|(word, all)| all.iter().map(move |one| (word, one)))
    {
        let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
        lines.push(format!("  {word} ({}): {name}", versions.len()));
        lines.extend(wrapped(&fold(&order, &versions)));
    }
    if !coverage.nowhere.is_empty() {
        lines.push("  named by the catalog, in no recorded version:".to_owned());
        lines.extend(coverage.nowhere.iter().map(|name| format!("      {name}")));
    }
    lines
}

/// Those of whole versions first.
fn groups(holes: &[Hole]) -> BTreeMap<(Option<&str>, &str, String), Group<'_>> {
    let mut groups: BTreeMap<_, Group<'_>> = BTreeMap::new();
    for hole in holes {
        let said = last_line(&hole.reason);
        let common = unversioned(&said, &hole.version);
        let group = groups.entry((hole.axis.as_deref(), hole.stage.as_str(), common)).or_default();
        if group.versions.is_empty() {
            group.said = said;
        }
        group.versions.push(&hole.version);
    }
    groups
}

/// A reason with `VERSION` in place of its own version's name: what many have said alike.
fn unversioned(text: &str, version: &str) -> String {
    if version.is_empty() {
        return text.to_owned();
    }
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(version) {
        done.push_str(before);
        let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let goes_on = digit(after) || after.strip_prefix('.').is_some_and(digit);
        let inside = goes_on || done.ends_with(|c: char| c.is_ascii_digit() || c == '.');
        done.push_str(if inside { version } else { "VERSION" });
        rest = after;
    }
    done + rest
}

/// Ascending versions, long runs of neighbours as their ends: `v1.2.0 … v1.2.5 (6)`.
fn fold(order: &BTreeMap<&str, usize>, versions: &[&str]) -> Vec<String> {
    let mut runs: Vec<Vec<&str>> = Vec::new();
    let mut last = None;
    for version in versions {
        let place = order.get(version).copied();
        match runs.last_mut() {
            Some(run) if place.is_some() && place == last => run.push(version),
            _ => runs.push(vec![version]),
        }
        last = place.map(|place| place + 1);
    }
    let text = |run: Vec<&str>| match run.as_slice() {
        [first, .., end] if run.len() > RUN_LIMIT => vec![format!("{first} … {end} ({})", run.len())],
        few => few.iter().map(|version| (*version).to_owned()).collect(),
    };
    runs.into_iter().flat_map(text).collect()
}

/// Words in lines, each behind a margin.
pub fn wrapped(words: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + word.chars().count() < COLUMNS => {
                line.push_str(", ");
                line.push_str(word);
            }
            Some(line) => {
                line.push(',');
                lines.push(format!("      {word}"));
            }
            None => lines.push(format!("      {word}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_folded_and_others_are_not() {
        let all = ["v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8"];
        let order = all.iter().enumerate().map(|(place, version)| (*version, place)).collect();
        assert_eq!(fold(&order, &all), ["v1 … v8 (8)"]);
        assert_eq!(fold(&order, &["v1", "v2", "v3", "v4", "v6"]), ["v1", "v2", "v3", "v4", "v6"]);
        assert_eq!(fold(&order, &["v1", "v3", "v4", "v5", "v6", "v7"]), ["v1", "v3 … v7 (5)"]);
    }

    #[test]
    fn reasons_are_alike_without_their_versions() {
        assert_eq!(unversioned("no go1.19.linux, 1.19", "1.19"), "no goVERSION.linux, VERSION");
        assert_eq!(unversioned("1.19.2 and 11.19", "1.19"), "1.19.2 and 11.19");
    }

    #[test]
    fn lines_end_before_the_margin() {
        let words: Vec<String> = (0..40).map(|n| format!("v1.0.{n}")).collect();
        let lines = wrapped(&words);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= COLUMNS), "{lines:#?}");
    }
}
