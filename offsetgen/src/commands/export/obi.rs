//! The table of OpenTelemetry's eBPF instrumentation: ranges, in which whatever was released has a figure.
//!
//! A range is therefore one unbroken stretch, the newest: from the newest release with a figure down to the first one without, or
//! down to a release that is not recorded where the figures on its two sides differ. Pre-releases are releases here.

use std::collections::BTreeSet;

use offsets::{Database, Version};

use super::left_out::LeftOut;
use crate::commands::figures::{Field, bare};
use crate::commands::tables::obi::{Bounds, Offsets, Record, Since};

const OLDER: &str = "beyond a release without a figure, and a table of ranges cannot say so";

pub fn table(database: &Database, fields: &[Field], left_out: &mut LeftOut) -> Offsets {
    let mut table = Offsets::default();
    for field in fields {
        match record(database, field, left_out) {
            Some(record) => {
                table.data.entry(field.type_name.clone()).or_default().insert(field.name.clone(), record);
            }
            None => left_out.empty(field),
        }
    }
    table
}

/// A release of a module, the newest first.
struct Release {
    text: String,
    is_recorded: bool,
}

fn record(database: &Database, field: &Field, left_out: &mut LeftOut) -> Option<Record> {
    let stretch = stretch(database, field, left_out);
    let spelled = |(text, _): &(String, u64)| bare(&field.module, text);
    let versions = Bounds { oldest: spelled(stretch.last()?), newest: spelled(stretch.first()?) };
    let mut offsets: Vec<Since> = Vec::new();
    for one in stretch.iter().rev() {
        if offsets.last().is_none_or(|last| last.offset != one.1) {
            offsets.push(Since { offset: one.1, since: spelled(one) });
        }
    }
    Some(Record { versions, offsets })
}

/// The releases of the newest unbroken stretch and their offsets, the newest first.
fn stretch(database: &Database, field: &Field, left_out: &mut LeftOut) -> Vec<(String, u64)> {
    let mut stretch: Vec<(String, u64)> = Vec::new();
    let (mut ended, mut beyond_a_hole) = (false, false);
    for Release { text, is_recorded } in releases(database, &field.module) {
        if !is_recorded {
            beyond_a_hole = true;
            continue;
        }
        let figure = left_out.take(field, &text, field.figure(database, &text));
        let Some(offset) = figure.flatten() else {
            // A field that is gone by the newest release has ended with an older one, and its stretch begins there.
            ended |= !stretch.is_empty();
            continue;
        };
        ended |= beyond_a_hole && stretch.last().is_some_and(|(_, last)| *last != offset);
        beyond_a_hole = false;
        if ended {
            left_out.count(OLDER, field);
        } else {
            stretch.push((text, offset));
        }
    }
    stretch
}

/// All releases that are known of, the newest first: the recorded ones and the holes.
fn releases(database: &Database, module: &str) -> Vec<Release> {
    let Some(document) = database.document(module) else { return Vec::new() };
    let recorded: BTreeSet<&str> = document.versions.iter().map(|tested| tested.version.as_str()).collect();
    let holes = document.holes.iter().filter(|hole| hole.axis.is_none()).map(|hole| hole.version.as_str());
    let known = recorded.iter().copied().chain(holes);
    let mut known: Vec<(Version, &str)> =
        known.filter_map(|text| Version::parse(module, text).map(|version| (version, text))).collect();
    known.sort_by(|(a, _), (b, _)| b.cmp(a));
    let release =
        |(_, text): (Version, &str)| Release { text: text.to_owned(), is_recorded: recorded.contains(text) };
    known.into_iter().map(release).collect()
}
