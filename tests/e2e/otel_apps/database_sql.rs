//! `databasesql`: statements of every kind in SQLite, with their texts, below a span that is made by hand.

use anyhow::Result;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use strobe_tests::samples::{Ran, failed, span};
use strobe_tests::spans::{Expected, Want};

use super::{build, later};

const SOURCE: &str = include_str!("../../apps/otel_databasesql/main.go");
const MODULES: &[(&str, &str)] = &[
    ("go.opentelemetry.io/otel", "v1.38.0"),
    ("modernc.org/libc", "v1.67.6"),
    ("modernc.org/sqlite", "v1.46.1"),
];

/// Of those before the six, in no span's context: summary, and text. Literals are left out of it, since the conventions want them to be,
/// where OpenTelemetry's test has them.
const BEFORE: [(&str, &str); 2] = [
    (
        "CREATE TABLE contacts",
        "CREATE TABLE contacts (id INTEGER PRIMARY KEY, first_name TEXT, last_name TEXT)",
    ),
    ("INSERT contacts", "INSERT INTO contacts (first_name, last_name) VALUES (?, ?)"),
];
const SIX: [(&str, &str); 6] = [
    ("SELECT contacts", "SELECT * FROM contacts"),
    ("INSERT contacts", "INSERT INTO contacts (first_name) VALUES (?)"),
    ("UPDATE contacts", "UPDATE contacts SET last_name = ? WHERE first_name = ?"),
    ("DELETE contacts", "DELETE FROM contacts WHERE first_name = ?"),
    ("DROP TABLE contacts", "DROP TABLE contacts"),
    // Nothing can be told from it: the span has the system's name.
    ("", "syntax error"),
];
/// SQLITE_ERROR.
const CODE: &str = "1";

fn operation((summary, query): (&str, &str)) -> Expected {
    let text = [("db.system.name", "sqlite"), ("db.query.text", query)];
    let mut due = span(SpanKind::Client, if summary.is_empty() { "sqlite" } else { summary }, &text, &[]);
    if summary.is_empty() {
        due.attributes.insert("db.response.status_code".to_owned(), Want::Is(CODE.into()));
        return failed(due, CODE);
    }
    due.attributes.insert("db.query.summary".to_owned(), Want::Is(summary.into()));
    due
}

#[test]
fn databasesql() -> Result<()> {
    let variables = [("OTEL_GO_AUTO_INCLUDE_DB_STATEMENT", "true")];
    let ran = Ran::of(&build(SOURCE, MODULES)?, &[], &variables)?;
    let run = span(SpanKind::Internal, "run", &[], &[]);
    let mut due: Vec<Expected> = BEFORE.map(operation).into();
    due.extend(later::by_api(run, SIX.map(operation).into()));
    let mut scopes = vec!["strobe/database/sql"];
    scopes.extend(later::MANUAL_SPANS_BY_API.then_some("strobe.test/otel_databasesql"));
    ran.are(&due, &scopes)
}
