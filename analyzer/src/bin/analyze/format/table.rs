//! Tables without lines between the cells.

use std::io::Write;

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};

use super::Width;

/// What the library that draws tables puts to both sides of a cell.
const PADDING: usize = 1;

/// An empty table that is printed `indent` columns to the right.
pub fn new(width: Width, indent: usize, header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // Its first column of padding is taken off again.
    match width.less(indent).0.map(|width| u16::try_from(width + PADDING)) {
        Some(Ok(width)) => {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(width);
        }
        Some(Err(_)) | None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    table.set_header(header);
    table
}

/// Prints a table that has rows.
pub fn print(out: &mut impl Write, table: &Table, indent: &str) -> Result<()> {
    if table.row_count() > 0 {
        for line in table.lines() {
            let line = line.trim_end();
            writeln!(out, "{indent}{}", line.strip_prefix(' ').unwrap_or(line))?;
        }
    }
    Ok(())
}
