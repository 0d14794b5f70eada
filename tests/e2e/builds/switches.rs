//! Sites behind a call in functions with a `switch`, which Go compiles to a jump table: one that the table leads to is hit without
//! the call, and refused; one that it does not lead to is taken.

use analyzer::Options;
use anyhow::{Context, Result, ensure};
use offsets::catalog;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;

use crate::{NEW, NEWEST, build, plan, read};

#[test]
fn no_site_behind_a_call_where_a_jump_table_leads() -> Result<()> {
    let entries = catalog::load_dir([("switches.toml", include_str!("switches.toml"))])?;
    let options = Options { entries: Vec::leak(entries), database: false, ..Options::default() };
    let files = [("main.go", include_str!("switches.go"))];
    for version in [go(19), go(22), NEW, NEWEST] {
        for (arch, mode) in [("amd64", "exe"), ("amd64", "pie"), ("arm64", "exe"), ("arm64", "pie")] {
            let file =
                build(&Recipe { version, arch, mode, args: &["-ldflags=-s"], files: &files, modules: &[] })?;
            let plan = plan(&read(&file)?, &options)?;
            let library = plan.libraries.first().context("the library")?;
            let roles: Vec<&str> = library.functions.iter().map(|f| f.role.as_str()).collect();
            ensure!(roles == ["apart"], "Go {version}, {arch}, {mode}: {roles:?}, {:?}", library.reason);
        }
    }
    Ok(())
}
