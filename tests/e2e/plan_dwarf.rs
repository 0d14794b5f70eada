//! The Plan of a binary against the DWARF of its unstripped twin, which this test reads by itself; and the proof that a
//! stripped binary's type data alone is enough for the net/http server.

use anyhow::{Context, Result, bail, ensure};

use analyzer::plan::{Field, Library, Plan, Verdict, Witness};
use analyzer::{Options, plan_file};
use strobe_tests::dwarf::{self, Layouts};
use strobe_tests::golang::{self, Build};

const SERVER: &str = "net/http.server";
/// The fields that every version has.
const ALWAYS: [(&str, &[&str]); 7] = [
    ("runtime.g", &["goid", "_panic"]),
    ("runtime._panic", &["arg", "goexit"]),
    ("net/http.response", &["conn", "status"]),
    ("net/http.conn", &["remoteAddr", "bufr"]),
    ("net/http.connReader", &["conn"]),
    ("bufio.Reader", &["buf", "r"]),
    (
        "net/http.Request",
        &[
            "Method",
            "ProtoMajor",
            "ProtoMinor",
            "Header",
            "ContentLength",
            "Host",
            "RemoteAddr",
            "RequestURI",
            "TLS",
        ],
    ),
];

/// Every field that the agent needs on that Go version, written down apart from the catalog.
fn needed(minor: u32) -> Vec<(&'static str, &'static str)> {
    let mut needed: Vec<_> =
        ALWAYS.iter().flat_map(|(t, fields)| fields.iter().map(move |f| (*t, *f))).collect();
    match minor {
        ..22 => {}
        22 => needed.extend([("net/http.Request", "pat"), ("net/http.pattern", "str")]),
        23.. => needed.push(("net/http.Request", "Pattern")),
    }
    needed
}

fn server(plan: &Plan) -> Result<&Library> {
    plan.libraries.iter().find(|l| l.id == SERVER).context("no net/http.server in the Plan")
}

fn field<'a>(library: &'a Library, type_name: &str, name: &str) -> Result<&'a Field> {
    let found = library.fields.iter().find(|f| f.type_name == type_name && f.field == name);
    found.with_context(|| format!("{type_name}.{name} is not in the Plan"))
}

/// All offsets of a Plan, HTTP/2's too.
fn hold_against(plan: &Plan, layouts: &Layouts) -> Result<usize> {
    let mut compared = 0;
    for library in &plan.libraries {
        for f in &library.fields {
            let truth = layouts.get(&(f.type_name.clone(), f.field.clone())).copied();
            match (f.offset, truth) {
                (Some(said), Some(truth)) if said == truth => compared += 1,
                (None, None) => {}
                (said, truth) => {
                    bail!("{}.{}: the Plan says {said:?}, DWARF {truth:?}", f.type_name, f.field)
                }
            }
        }
    }
    Ok(compared)
}

#[test]
fn every_offset_is_that_of_the_unstripped_twin() -> Result<()> {
    for &version in golang::traced() {
        let plain = golang::build("httpserver", version, Build::Plain)?;
        let layouts = dwarf::layouts(&plain).with_context(|| format!("the DWARF of Go {version}"))?;
        ensure!(layouts.len() > 1000, "only {} members in the DWARF of Go {version}", layouts.len());
        for build in Build::ALL {
            let plan = plan_file(&golang::build("httpserver", version, build)?, &Options::default(), &[])?;
            let compared =
                hold_against(&plan, &layouts).with_context(|| format!("Go {version} {build:?}"))?;
            let verdict = server(&plan)?.verdict;
            ensure!(
                verdict == Verdict::Ready,
                "Go {version} {build:?}: {verdict:?}: {:?}",
                server(&plan)?.reason
            );
            println!("Go {version} {build:?}: {compared} offsets agree");
            ensure!(
                compared >= needed(golang::minor(version)).len(),
                "Go {version} {build:?}: {compared} compared"
            );
        }
    }
    Ok(())
}

#[test]
fn type_data_alone_is_enough() -> Result<()> {
    let options = Options { dwarf: false, database: false, ..Options::default() };
    for &version in golang::traced() {
        let what = format!("Go {version}");
        let plan = plan_file(&golang::build("httpserver", version, Build::Stripped)?, &options, &[])?;
        let library = server(&plan)?;
        for (type_name, name) in needed(golang::minor(version)) {
            let found = field(library, type_name, name).with_context(|| what.clone())?;
            ensure!(found.offset.is_some(), "{what}: {type_name}.{name} was not found");
            ensure!(found.witnesses == [Witness::Types], "{what}: {type_name}.{name}: {:?}", found.witnesses);
        }
        ensure!(library.verdict == Verdict::Ready, "{what}: {:?}: {:?}", library.verdict, library.reason);
    }
    Ok(())
}

#[test]
fn each_witness_speaks_where_it_can() -> Result<()> {
    for &version in golang::traced() {
        let both = [Witness::Types, Witness::Database];
        let all = [Witness::Types, Witness::Dwarf, Witness::Database];
        for (build, want) in [(Build::Stripped, both.as_slice()), (Build::Plain, all.as_slice())] {
            let plan = plan_file(&golang::build("httpserver", version, build)?, &Options::default(), &[])?;
            for (type_name, name) in needed(golang::minor(version)) {
                let found = field(server(&plan)?, type_name, name)?;
                ensure!(
                    found.witnesses == want,
                    "Go {version} {build:?}: {type_name}.{name}: {:?}",
                    found.witnesses
                );
            }
        }
    }
    Ok(())
}
