//! Which version counts: that of the module which really owns the structs, after `replace`.

use analyzer::Options;
use analyzer::plan::{Plan, Replacement, VersionMatch};
use anyhow::{Context, Result, ensure};
use strobe_tests::built::Recipe;

use crate::{NEW, build, library, plan, read};

const MODULE: &str = "golang.org/x/net";
const REQUIRED: &str = "v0.25.0";
const OTHER: &str = "v0.62.0";
const ID: &str = "golang.org/x/net/http2.server";
const MAIN: (&str, &str) = (
    "main.go",
    "package main\n\nimport (\n\t\"net\"\n\t\"net/http\"\n\n\t\"golang.org/x/net/http2\"\n)\n\n\
     func main() {\n\tconn, _ := net.Dial(\"tcp\", \"\")\n\t\
     new(http2.Server).ServeConn(conn, &http2.ServeConnOpts{Handler: http.NotFoundHandler()})\n}\n",
);
/// A stand-in for the module, in a folder: the same names, other structs.
const FORK: [(&str, &str); 2] = [
    ("fork/go.mod", "module golang.org/x/net\n\ngo 1.17\n"),
    (
        "fork/http2/http2.go",
        "package http2\n\nimport (\n\t\"net\"\n\t\"net/http\"\n)\n\ntype Server struct{}\n\n\
         type ServeConnOpts struct{ Handler http.Handler }\n\ntype serverConn struct{ rounds int }\n\n\
         //go:noinline\nfunc (c *serverConn) serve() { c.rounds++ }\n\n\
         func (s *Server) ServeConn(c net.Conn, opts *ServeConnOpts) { new(serverConn).serve() }\n",
    ),
];

fn built(module: &str, more: &[(&str, &str)]) -> Result<Plan> {
    let files = [&[MAIN, ("go.mod", module)], more].concat();
    let recipe = Recipe {
        args: &["-ldflags=-s -w -linkmode=internal"],
        modules: &[(MODULE, REQUIRED)],
        ..Recipe::server(NEW, &files)
    };
    plan(&read(&build(&recipe)?)?, &Options::default())
}

fn replacement(plan: &Plan) -> Result<Option<&Replacement>> {
    let module = plan.modules.iter().find(|m| m.path == MODULE).context("x/net is not among the modules")?;
    ensure!(module.version == REQUIRED, "{module:?}");
    Ok(module.replaced_by.as_ref())
}

#[test]
fn replaced_by_another_version_of_itself() -> Result<()> {
    let module = format!(
        "module example.com/app\n\ngo 1.17\n\nrequire {MODULE} {REQUIRED}\n\nreplace {MODULE} => {MODULE} {OTHER}\n"
    );
    let plan = built(&module, &[])?;
    let by = replacement(&plan)?.context("no replacement")?;
    ensure!((by.path.as_str(), by.version.as_str()) == (MODULE, OTHER), "{by:?}");
    let library = library(&plan, ID)?;
    ensure!(library.version.as_deref() == Some(OTHER), "{:?}", library.version);
    ensure!(library.version_match == VersionMatch::Exact, "{:?}", library.version_match);
    Ok(())
}

#[test]
fn replaced_by_a_folder() -> Result<()> {
    let module = format!(
        "module example.com/app\n\ngo 1.17\n\nrequire {MODULE} {REQUIRED}\n\nreplace {MODULE} => ./fork\n"
    );
    let plan = built(&module, &FORK)?;
    let by = replacement(&plan)?.context("no replacement")?;
    ensure!((by.path.as_str(), by.version.as_str()) == ("./fork", "(devel)"), "{by:?}");
    let library = library(&plan, ID)?;
    ensure!(library.version.is_none(), "{:?}", library.version);
    ensure!(library.version_match == VersionMatch::Unknown, "{:?}", library.version_match);
    // The standard library's own structs are those of its release.
    let mut own = library.fields.iter().filter(|field| field.type_name.starts_with(MODULE)).peekable();
    ensure!(own.peek().is_some(), "no fields of the module's");
    ensure!(own.all(|field| !field.witnesses.contains(&analyzer::plan::Witness::Database)));
    Ok(())
}

#[test]
fn replaced_by_nothing() -> Result<()> {
    let module = format!("module example.com/app\n\ngo 1.17\n\nrequire {MODULE} {REQUIRED}\n");
    let plan = built(&module, &[])?;
    ensure!(replacement(&plan)?.is_none(), "{:?}", plan.modules);
    ensure!(library(&plan, ID)?.version.as_deref() == Some(REQUIRED), "{:?}", plan.modules);
    Ok(())
}
