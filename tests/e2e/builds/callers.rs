//! Programs that call and serve nothing: the linker has left out what only servers have.

use analyzer::plan::Verdict;
use anyhow::{Result, ensure};
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;

use crate::{NEW, NEWEST, build, library, plan, read};

const CALLER: (&str, &str) = (
    "main.go",
    r#"package main

import "net/http"

func main() {
	if _, err := http.Get("http://127.0.0.1:1/"); err != nil {
		panic(err)
	}
}
"#,
);

/// No request's context is in such a program, so that nothing is missing where there is no type of their keys.
#[test]
fn a_program_without_a_server_is_ready() -> Result<()> {
    for version in [go(22), NEW, NEWEST] {
        let file = build(&Recipe { args: &["-ldflags=-s -w"], ..Recipe::server(version, &[CALLER]) })?;
        let plan = plan(&read(&file)?, &analyzer::Options::default())?;
        let client = library(&plan, "net/http.client")?;
        ensure!(client.verdict == Verdict::Ready, "Go {version}: {:?}", client.reason);
        ensure!(library(&plan, crate::ID).is_err(), "Go {version}: a server is linked in");
    }
    Ok(())
}
