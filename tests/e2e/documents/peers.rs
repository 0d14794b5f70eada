//! Each defect of other agents that docs/peers.md tells of is held by a test that is there.

use std::fs;

use anyhow::{Context, Result, ensure};
use strobe_tests::machine;

#[test]
fn each_defect_of_others_has_its_test() -> Result<()> {
    let root = machine::workspace();
    let text = fs::read_to_string(root.join("docs/peers.md"))?;
    let mut lacking = Vec::new();
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut count = 0;
    for row in rows {
        let place = row.trim_end_matches([' ', '|', '`']).rsplit('`').next().context("no place")?;
        let (file, test) = place.split_once(' ').with_context(|| format!("{place:?} is no file and test"))?;
        let paths = [root.join("tests/e2e").join(file), root.join(file)];
        let source = paths.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        // A macro makes some: their names stand before a colon.
        let spelled = [format!("fn {test}("), format!("    {test}: ")];
        let is_there = spelled.iter().any(|spelled| source.contains(spelled.as_str()));
        if !is_there {
            lacking.push(place);
        }
        count += 1;
    }
    ensure!(count > 20 && lacking.is_empty(), "{count} defects; no such test: {lacking:#?}");
    Ok(())
}
