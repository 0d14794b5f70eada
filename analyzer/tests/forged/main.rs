//! Small files whose tables refer to the same parts over and over, so that what they say is far bigger than they are: the
//! answer is the right Plan, or an error that names the limit, in a time and a memory that befit the file. Before there were
//! limits each of these took minutes or gigabytes.

mod forge;

use std::process::Command;
use std::time::{Duration, Instant};

use analyzer::go::types::closure;
use analyzer::plan::{Code, Library, Plan, Verdict};
use analyzer::{GoImage, Options};
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

#[test]
fn kinds_are_put_together_only_for_fields_that_the_catalog_names() {
    let forged = |field: &str| {
        let mut types = Types::default();
        let parts = types.long_names();
        let kind = types.func(&parts);
        let links = structs(&mut types, 20, "http.Request", field, kind);
        Forged { types, links, ..Forged::default() }
    };
    let plan = plan(forged("f")).expect("a Plan");
    assert!(reason(&plan).contains("net/http.Request.Method: "), "{}", reason(&plan));
    let error = self::plan(forged("Method")).expect_err("a limit");
    assert!(error.contains("bytes of type names, the limit is 67108864"), "{error}");
}

#[test]
fn wanted_structs_that_share_a_table_of_fields_have_a_limit_of_their_own() {
    let mut types = Types::default();
    let int = types.basic("int");
    let links = structs(&mut types, 65, "http.Request", "f", int);
    let error = plan(Forged { types, links, ..Forged::default() }).expect_err("a limit");
    assert!(error.contains("fields of structs that the catalog names, the limit is 1048576"), "{error}");
}

#[test]
fn names_of_maps_and_itabs_that_nobody_wants_are_not_put_together() {
    let mut types = Types::default();
    let parts = types.long_names();
    let (name, package) = (types.name("http.ResponseWriter"), types.name("net/http"));
    let interface = types.interface(name, package);
    let concrete = types.func(&parts);
    let mut links: Vec<u64> = (0..100_000).map(|_| types.map(concrete, concrete)).collect();
    let string = types.basic("string");
    let strings = types.slice(string);
    links.push(types.map(string, strings));
    let response = types.name("http.response");
    let response = types.structure(response, package, (0, 0));
    let mut itabs = vec![(interface, concrete); 30_000];
    itabs.push((interface, types.pointer(response)));
    let plan = plan(Forged { types, links, itabs, ..Forged::default() }).expect("a Plan");
    let library = server(&plan);
    assert!(library.itabs.iter().all(|i| i.vaddr.is_some()), "{:?}", library.itabs);
    assert!(library.maps.iter().all(|m| m.implementation.is_some()), "{:?}", library.maps);
}

#[test]
fn the_names_of_all_structs_together_have_a_limit() {
    let mut types = Types::default();
    let (name, package) = (types.name(&"s".repeat(16_000)), types.name("net/http"));
    let links = (0..5_000).map(|_| types.structure(name, package, (0, 0))).collect();
    let file = Forged { types, links, ..Forged::default() }.build();
    let go = GoImage::parse(&file).expect("a Go binary");
    let error = closure::structs(&go.types()).expect_err("a limit").to_string();
    assert!(error.contains("bytes of type names, the limit is 67108864"), "{error}");
}

#[test]
fn a_name_held_against_a_text_is_the_name_put_together() {
    let mut types = Types::default();
    let int = types.basic("int");
    let (name, package) = (types.name("http.T[a.B]"), types.name("net/http"));
    let defined = types.structure(name, package, (0, 0));
    let (pointer, slice) = (types.pointer(defined), types.slice(int));
    let map = types.map(int, pointer);
    let composite = types.func(&[map, slice, pointer]);
    let file = Forged { types, links: vec![composite], ..Forged::default() }.build();
    let go = GoImage::parse(&file).expect("a Go binary");
    let types = go.types();
    let name = "func(map[int]*net/http.T[a.B], []int, *net/http.T[a.B])";
    assert_eq!(types.full_name(composite).as_deref(), Some(name));
    assert!(types.has_full_name(composite, name));
    for (at, _) in name.char_indices() {
        assert!(!types.has_full_name(composite, &name[..at]), "{}", &name[..at]);
    }
    assert!(!types.has_full_name(composite, &format!("{name} ")));
    let map = types.get(map).expect("its descriptor");
    assert!(types.has_underlying_name(&map, "map[int]*net/http.T[a.B]"));
    assert!(!types.has_underlying_name(&map, "map[int]*net/http.T"));
}

/// An entry whose caller calls by way of another function.
const BY_WAY: &str = r#"id = "by/way"
title = "a caller that calls by way of another function"
module = "a.b/c"
present = ["a.b/c.seen"]

[[role]]
name = "start"
required = true
[[role.site]]
function = "a.b/c.seen"
at = "entry"
callers = ["a.b/c.caller"]
through = ["a.b/c.way"]
"#;

#[test]
fn a_copied_caller_that_calls_by_way_of_another_function_is_noted() {
    let entries = offsets::catalog::with_own([("way.toml", BY_WAY)]).expect("an entry");
    let options = Options { entries: Vec::leak(entries), ..Options::default() };
    // main.g, which a.b/c.caller was copied into, calls the function before it or the one before that.
    for (distance, is_noted) in [(-21, true), (-37, false)] {
        let call = [&[0xe8][..], &i32::to_le_bytes(distance), &[0xc3; 11]].concat();
        let forged = Forged {
            inlined: "a.b/c.caller",
            tree_entries: 1,
            pctab: one_run(1),
            more: vec![("a.b/c.seen", vec![0xc3; 16]), ("a.b/c.way", vec![0xc3; 16]), ("main.g", call)],
            last_has_tree: true,
            ..Forged::default()
        };
        let plan = analyzer::plan(&forged.build(), "forged", &options).expect("a Plan");
        let library = plan.libraries.iter().find(|library| library.id == "by/way").expect("it is there");
        let noted = library.findings.iter().any(|finding| finding.code == Code::NoCaller);
        assert_eq!((library.verdict, noted), (Verdict::Ready, is_noted), "{:?}", library.findings);
        let returns = library.functions.iter().flat_map(|function| &function.callers).count();
        assert_eq!(returns == 0, is_noted, "{:?}", library.functions);
    }
}

/// What `analyze` says of a file that it may read with 100 MiB of its own, and how long that took.
fn analyze(forged: Forged, status: i32) -> (String, Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hostile");
    std::fs::write(&path, forged.build()).expect("written");
    let begun = Instant::now();
    // Data is what it allocates and its threads' stacks; the mapped file is none.
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -d 102400 && exec \"$0\" -v \"$1\" 2>&1"]);
    let output = limited.arg(env!("CARGO_BIN_EXE_analyze")).arg(&path).output().expect("sh");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(status), "{said}");
    (said, begun.elapsed())
}

/// It takes less than a second as it is shipped; but this machine may do other things at the same time, and without the compiler's
/// optimisations each pass over the file takes seconds.
const SOON: Duration = Duration::from_secs(if cfg!(debug_assertions) { 120 } else { 5 });

#[test]
fn millions_of_functions_of_one_name_end_in_the_budget_s_error() {
    let (said, took) = analyze(Forged { copies: (1 << 23) - 2, ..Forged::default() }, 2);
    assert!(said.contains("too big: 65537 functions of the names that the catalog wants"), "{said}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn millions_of_places_of_one_name_end_in_the_budget_s_error() {
    let (said, took) = analyze(Forged { repeats: 30_000_000, ..Forged::default() }, 2);
    assert!(said.contains("too big: 65537 places of wanted names in the name table"), "{said}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn millions_of_functions_that_share_a_tree_are_counted_where_they_stand() {
    let outers = (1 << 23) - 2;
    let forged = Forged { outers, tree_entries: 1, pctab: one_run(1), ..Forged::default() };
    let (said, took) = analyze(forged, 1);
    assert!(said.contains(&format!("it was inlined into {OUTER} and {} more", outers - 1)), "{said}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn functions_are_told_apart_without_reading_what_lies_behind_them() {
    let entries = 60_000;
    let pctab = one_run(entries);
    let forged =
        Forged { outers: 60, tree_entries: entries, pctab, padding: 50_000_000, ..Forged::default() };
    let (said, took) = analyze(forged, 1);
    assert!(said.contains(&format!("it was inlined into {OUTER} and 3599999 more")), "{said}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn jumps_and_tables_are_not_multiplied() {
    // lea 0x1000(%rip),%rcx; jmp *(%rcx,%rax,8)
    let code = [[0x48, 0x8d, 0x0d, 0, 0x10, 0, 0].repeat(50_000), [0xff, 0x24, 0xc1].repeat(50_000)].concat();
    let more = vec![("net/http.(*response).finishRequest", code)];
    let (said, took) = analyze(Forged { more, ..Forged::default() }, 1);
    let is_probed = |line: &str| line.contains("(*response).finishRequest  0x") && line.ends_with("stepped");
    assert!(said.lines().any(is_probed), "{said}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn a_body_in_a_quarter_of_a_million_pieces_is_searched_by_bisection() {
    // Two bytes in the body's first entry, two in its third, and so on.
    let pctab = [vec![2, 2], [4, 2, 3, 2].repeat((1 << 17) - 1), vec![4, 2, 0]].concat();
    let mut code = vec![0x90; 1 << 19];
    let callee = 16 - (16 + 16 + (1 << 19));
    code[(1 << 19) - 5] = 0xe8;
    code[(1 << 19) - 4..].copy_from_slice(&i32::to_le_bytes(callee));
    let forged = Forged {
        inlined: "net/http.(*response).finishRequest",
        tree_entries: 4,
        pctab,
        more: vec![("net/http.(*connReader).abortPendingRead", vec![0xc3; 16]), ("main.g", code)],
        last_has_tree: true,
        ..Forged::default()
    };
    let (said, took) = analyze(forged, 1);
    assert!(said.contains("net/http.(*response).finishRequest, copied into main.g"), "{said}");
    assert!(took < SOON, "{took:?}");
}

#[test]
fn more_dependencies_than_anybody_has_end_in_the_budget_s_error() {
    let (said, _) = analyze(Forged { dependencies: 100_000, ..Forged::default() }, 2);
    assert!(said.contains("too big: 100000 lines of module text, the limit is 65536"), "{said}");
    let plan = plan(Forged { dependencies: 65_536, ..Forged::default() }).expect("a Plan");
    assert_eq!(plan.modules.len(), 65_536);
}

#[test]
fn copies_are_counted_to_the_end_and_kept_to_the_limit() {
    for (copies, words) in [(64, "there are 65 functions"), (9_999, "there are 10000 functions")] {
        let plan = plan(Forged { copies, ..Forged::default() }).expect("a Plan");
        let words = format!("{words} of the name net/http.(*conn).serve, the limit is 64");
        assert!(reason(&plan).contains(&words), "{}", reason(&plan));
    }
    let plan = plan(Forged { copies: 63, ..Forged::default() }).expect("a Plan");
    assert!(!reason(&plan).contains("the limit is 64"), "{}", reason(&plan));
}
