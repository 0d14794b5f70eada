//! One type, one spelling: type data and DWARF write the paths of type arguments and the directions of channels in ways of
//! their own, and a catalog's kind has to be right for both.

use analyzer::Options;
use analyzer::plan::{Library, Witness};
use anyhow::{Context, Result, ensure};
use offsets::catalog;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;

use crate::{NEW, NEWEST, PLAIN, WHOLE, build, plan, read};

const FILES: [(&str, &str); 4] = [
    ("go.mod", "module example.com/app\n\ngo 1.18\n"),
    ("main.go", "package main\n\nimport lib \"example.com/app/li.b\"\n\nfunc main() { lib.Use() }\n"),
    ("li.b/lib.go", include_str!("spelled_lib.go")),
    ("in.ner/inner.go", "package inner\n\ntype Q struct{ A, B int }\n"),
];

fn library(file: &[u8], options: Options) -> Result<Library> {
    let entries = Vec::leak(catalog::load_dir([("spelled.toml", include_str!("spelled.toml"))])?);
    let options = Options { entries, database: false, ..options };
    plan(file, &options)?.libraries.into_iter().next().context("the library is not found")
}

#[test]
fn type_arguments_and_channels_are_spelled_alike_by_type_data_and_dwarf() -> Result<()> {
    for version in [go(19), go(22), NEW, NEWEST] {
        for arch in ["amd64", "arm64"] {
            for (args, dwarf, witness) in [(PLAIN, false, Witness::Types), (WHOLE, true, Witness::Dwarf)] {
                let recipe =
                    Recipe { version, arch, mode: "exe", args: &[args], files: &FILES, modules: &[] };
                let options = Options { types: !dwarf, dwarf, ..Options::default() };
                let library = library(&read(&build(&recipe)?)?, options)?;
                ensure!(library.fields.len() == 11, "{}", library.fields.len());
                for field in &library.fields {
                    ensure!(
                        field.offset.is_some() && field.witnesses == [witness],
                        "Go {version}, {arch}, {witness:?}: {field:?}"
                    );
                }
            }
        }
    }
    Ok(())
}
