//! The numbers for eyes: a row per module, in 100 columns where nobody says how many there are.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::coverage::Coverage;

/// Columns when nobody says how many there are, and the bounds of what is used.
const COLUMNS: u16 = 100;
const LEAST: u16 = 80;
const MOST: u16 = 140;

/// Two numbers in one column say: withheld, and does not compile.
const HEADER: [&str; 12] = [
    "module",
    "known",
    "with-\nheld/\nfails",
    "build\nable",
    "reco-\nrded",
    "%",
    "comp-\niled",
    "fol-\nlow",
    "arm\n64",
    "other\naxes",
    "str-\nucts",
    "func-\ntions",
];
const LAST: &str = "unre-\nached";

/// The table.
pub fn table(all: &[Coverage]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(Table::new().width().unwrap_or(COLUMNS).clamp(LEAST, MOST));
    table.set_header(HEADER.into_iter().chain([LAST]));
    for coverage in all {
        table.add_row(row(coverage));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        // A module's path is broken where it has a slash.
        column.set_delimiter('/');
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn row(coverage: &Coverage) -> Vec<String> {
    let Coverage { known, withheld, compile, buildable, recorded, built, follow, arm64, other, .. } =
        coverage;
    let Coverage { structs, functions, unreached, .. } = coverage;
    let mut row = vec![coverage.module.clone(), known.to_string(), format!("{withheld}/{compile}")];
    row.extend([buildable, recorded].map(usize::to_string));
    row.push(coverage.percent.to_string());
    row.extend(
        [*built, *follow, *arm64, *other, *structs, *functions, unreached.len()].map(|n| n.to_string()),
    );
    row
}
