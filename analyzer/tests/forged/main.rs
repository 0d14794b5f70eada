//! Small files whose tables refer to the same parts over and over, so that what they say is far bigger than they are: the
//! answer is the right Plan, or an error that names the limit, in a time and a memory that befit the file. Before there were
//! limits each of these took minutes or gigabytes.

#[expect(dead_code, reason = "type data is forged by the next tests")]
mod forge;

use analyzer::Options;
use analyzer::plan::{Library, Plan, Verdict};
use forge::{Forged, OUTER, Types, uvarint};

fn plan(forged: Forged) -> Result<Plan, String> {
    analyzer::plan(&forged.build(), "forged", &Options::default()).map_err(|e| e.to_string())
}

fn server(plan: &Plan) -> &Library {
    plan.libraries.iter().find(|l| l.id == "net/http.server").expect("net/http.server is there")
}

fn reason(plan: &Plan) -> &str {
    server(plan).reason.as_deref().expect("a reason")
}

/// A pc-value table of one run with this value, less one.
fn one_run(entries: u64) -> Vec<u8> {
    [uvarint(entries * 2), vec![16, 0]].concat()
}

#[test]
fn copies_in_functions_that_share_a_tree_are_counted_not_listed() {
    let entries = 20_000;
    let forged =
        Forged { outers: 20_000, tree_entries: entries, pctab: one_run(entries), ..Forged::default() };
    let plan = plan(forged).expect("a Plan");
    assert_eq!(server(&plan).verdict, Verdict::Refused);
    let words = format!("it was inlined into {OUTER} and 399999999 more, a probe would miss those calls");
    assert!(reason(&plan).contains(&words), "{}", reason(&plan));
    // The tree's length counts: what stands behind its end is no entry.
    let forged = Forged { outers: 3, tree_entries: entries, pctab: one_run(2), ..Forged::default() };
    let plan = self::plan(forged).expect("a Plan");
    assert!(reason(&plan).contains(&format!("{OUTER} and 5 more")), "{}", reason(&plan));
}

#[test]
fn trees_that_are_too_long_to_measure_are_an_error() {
    // Runs that go nowhere: +1 and -1 by turns.
    let pctab = [2, 0, 1, 0].repeat(1 << 17);
    let forged = Forged { outers: 5_000, tree_entries: 1, pctab, ..Forged::default() };
    let error = plan(forged).expect_err("a limit");
    assert!(error.contains("runs of inline tree indexes, the limit is"), "{error}");
}

/// Structs of one name that share a table of as many fields as a struct may have.
fn structs(types: &mut Types, count: usize, name: &str, field: &str, field_type: u64) -> Vec<u64> {
    let (name, package) = (types.name(name), types.name("net/http"));
    let field = types.name(field);
    let table = types.fields((0..1 << 14).map(|_| (field, field_type, 0)));
    (0..count).map(|_| types.structure(name, package, table)).collect()
}

#[test]
fn types_that_share_a_table_of_fields_end_the_walk() {
    let mut types = Types::default();
    let int = types.basic("int");
    let links = structs(&mut types, 30_000, "http.T", "f", int);
    let error = plan(Forged { types, links, ..Forged::default() }).expect_err("a limit");
    assert!(error.contains("references between types, the limit is 16777216"), "{error}");
}
