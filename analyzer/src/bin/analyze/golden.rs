//! What is printed for a Plan, held against the texts in `tests/golden` (its README has the command that blesses them).

use std::path::Path;
use std::{env, fs};

use analyzer::Plan;

use crate::explain;
use crate::format::{Width, details, lines, text};
use crate::outcome::Outcome;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn plan() -> Plan {
    let text = fs::read_to_string(Path::new(FOLDER).join("mixed.json")).expect("the Plan");
    serde_json::from_str(&text).expect("a Plan")
}

/// The Plan in one of the forms, without colours.
fn render(form: &str, width: Width) -> String {
    render_plan(plan(), form, width)
}

fn render_plan(plan: Plan, form: &str, width: Width) -> String {
    let mut out = anstream::StripStream::new(Vec::new());
    match form {
        "short" => lines::print(&mut out, &plan, width).expect("printed"),
        "long" => details::print(&mut out, &plan, width).expect("printed"),
        id => {
            let outcome = Outcome { result: Ok(plan), skipped: None };
            explain::print(&mut out, &outcome, id, offsets::catalog::entries(), width).expect("printed");
        }
    }
    String::from_utf8(out.into_inner()).expect("UTF-8")
}

const KAFKA: &str = "github.com/segmentio/kafka-go";

#[test]
fn golden_texts_at_80_and_120_columns() {
    for (name, form) in [("short", "short"), ("long", "long"), ("explain", KAFKA)] {
        for columns in [80, 120] {
            let file = Path::new(FOLDER).join(format!("mixed.{columns}.{name}.txt"));
            let printed = render(form, Width(Some(columns)));
            if env::var_os("STROBE_BLESS").is_some() {
                fs::write(&file, &printed).expect("blessed");
            }
            let golden = fs::read_to_string(&file).expect("a golden file");
            assert_eq!(printed, golden, "{}: STROBE_BLESS=1 accepts it", file.display());
        }
    }
}

#[test]
fn one_field_is_no_fields() {
    let mut plan = plan();
    plan.libraries.iter_mut().for_each(|library| library.fields.truncate(1));
    for form in ["short", "long", KAFKA] {
        let printed = render_plan(plan.clone(), form, Width(None));
        assert!(printed.contains("1 field") && !printed.contains("1 fields"), "{printed}");
    }
}

#[test]
fn nothing_is_wider_than_the_terminal_and_nothing_is_cut_without_one() {
    for columns in 20..140 {
        for form in ["short", "long", KAFKA] {
            let printed = render(form, Width(Some(columns)));
            let long = printed.lines().find(|line| text::columns(line) > columns);
            assert_eq!(long, None, "{form} at {columns}");
        }
    }
    for form in ["short", "long", KAFKA] {
        assert!(!render(form, Width(None)).contains('…'), "{form}");
    }
}
