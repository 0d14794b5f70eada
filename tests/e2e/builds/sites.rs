//! Sites of every sort in the standard library's own code, held against what objdump reads of the same file.

use std::process::Command;

use analyzer::Options;
use analyzer::plan::{Function, Plan, When};
use anyhow::{Context, Result, ensure};
use offsets::catalog;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;
use strobe_tests::machine;

use crate::{NEW, NEWEST, build, plan, read};

/// A client and a user of a database.
const PROGRAM: &str = r#"package main

import (
	"context"
	"database/sql"
	"net/http"
)

func main() {
	response, err := http.Get("https://127.0.0.1:1/")
	println(response, err)
	db, err := sql.Open("driver", "")
	println(db, err)
	tx, err := db.BeginTx(context.Background(), nil)
	println(tx, err, tx.Commit())
}
"#;

#[test]
fn sites_are_where_objdump_reads_them() -> Result<()> {
    let entries = catalog::load_dir([("sites.toml", include_str!("sites.toml"))])?;
    let options = Options { entries: Vec::leak(entries), database: false, ..Options::default() };
    for version in [go(22), NEW, NEWEST] {
        for (arch, tool) in [("amd64", "objdump"), ("arm64", "aarch64-linux-gnu-objdump")] {
            let files = [("main.go", PROGRAM)];
            let file = build(&Recipe { version, arch, mode: "exe", args: &[], files: &files, modules: &[] })?;
            let plan = plan(&read(&file)?, &options)?;
            let mut objdump = Command::new(tool);
            objdump.args(["-d", "--no-show-raw-insn"]).arg(&file);
            let listing = String::from_utf8(machine::run(&mut objdump)?.stdout)?;
            check(&plan, &listing, version == go(22)).with_context(|| format!("Go {version}, {arch}"))?;
        }
    }
    Ok(())
}

fn check(plan: &Plan, listing: &str, is_old: bool) -> Result<()> {
    let library = plan.libraries.first().context("the library")?;
    let mut roles: Vec<&str> = library.functions.iter().map(|f| f.role.as_str()).collect();
    roles.dedup();
    let late: &[&str] = if is_old { &[] } else { &["late"] };
    ensure!(
        roles == [&["end", "inject", "commit", "retry"], late].concat(),
        "{roles:?}: {:?}",
        library.reason
    );
    let role = |name: &str| library.functions.iter().find(|f| f.role == name).context("a role");
    // Behind the call stand a nop at most, a comparison, and the branch.
    let end = role("end")?;
    let calls = calls(listing, end, "<net/http.(*persistConn).roundTrip>");
    ensure!(calls.len() == 1 && end.sites.len() == 1, "{calls:x?}");
    ensure!((1..=3).contains(&distance(listing, end, calls[0], end.sites[0].vaddr)?), "{:x?}", end.sites);
    // The calls themselves, all of them.
    let inject = role("inject")?;
    let sites: Vec<u64> = inject.sites.iter().map(|site| site.vaddr).collect();
    ensure!(sites == self::calls(listing, inject, "<net/http.Header.writeSubset>"), "{sites:x?}");
    ensure!(inject.sites.iter().all(|site| site.when == When::Call));
    // One indirect call in the one, two in the other; the second is a tail.
    for (name, count) in [("commit", 1), ("retry", 2)] {
        let function = role(name)?;
        let indirect = indirect(listing, function);
        ensure!(indirect.len() == count && function.sites.len() == count, "{name}: {indirect:x?}");
        for (call, site) in indirect.iter().zip(&function.sites) {
            ensure!((1..=8).contains(&distance(listing, function, *call, site.vaddr)?), "{name}: {site:x?}");
            // On arm64 a preempted goroutine comes back to what makes an address in the assembler's own register.
            let text =
                body(listing, function).into_iter().find(|(at, _)| *at == site.vaddr).context("a line")?.1;
            ensure!(!text.contains("x27, "), "{name}: {text}");
        }
    }
    if !is_old {
        slots(listing, role("late")?)?;
    }
    Ok(())
}

/// The slots are loaded behind the call of deferreturn, and the callers are where their labels are.
fn slots(listing: &str, late: &Function) -> Result<()> {
    let found = late.result_slots.as_ref().context("slots")?;
    let names: Vec<&str> = late.callers.iter().map(|caller| caller.name.as_str()).collect();
    ensure!(names == ["runtime.gopanic", "net/http.(*Transport).roundTrip"], "{names:?}");
    for caller in &late.callers {
        ensure!(listing.contains(&format!("{:016x} <{}>:", caller.vaddr, caller.name)), "{caller:?}");
    }
    let outer = late.callers.last().context("the function")?;
    let (start, end) = (outer.vaddr, outer.vaddr + outer.size);
    let behind = listing.lines().filter(|line| address(line).is_some_and(|at| (start..end).contains(&at)));
    let behind: Vec<&str> =
        behind.skip_while(|line| !line.contains("<runtime.deferreturn>")).skip(1).take(4).collect();
    ensure!(found.slots.len() == 3, "{found:?}");
    let is_amd64 = behind.iter().any(|line| line.contains("%rsp"));
    for slot in &found.slots {
        let own = if is_amd64 { slot - 8 } else { *slot };
        let texts = [format!("0x{own:x}(%rsp)"), format!("[sp, #{own}]"), format!("[sp, #{}]", own - 8)];
        let is_loaded = behind.iter().any(|line| texts.iter().any(|text| line.contains(text)));
        ensure!(is_loaded, "{own:#x} in {behind:?}");
    }
    Ok(())
}

/// A line's address.
fn address(line: &str) -> Option<u64> {
    u64::from_str_radix(line.trim_start().split_once(":\t")?.0, 16).ok()
}

/// Addresses of a function's instructions, with their text.
fn body<'l>(listing: &'l str, function: &Function) -> Vec<(u64, &'l str)> {
    let inside = function.vaddr..function.vaddr + function.size;
    let lines = listing.lines().filter_map(|line| Some((address(line)?, line.split_once(":\t")?.1)));
    lines.filter(|(at, _)| inside.contains(at)).collect()
}

fn calls(listing: &str, function: &Function, callee: &str) -> Vec<u64> {
    let is_call = |text: &str| text.starts_with("call") || text.starts_with("bl\t");
    let all = body(listing, function).into_iter();
    all.filter(|(_, text)| is_call(text) && text.ends_with(callee)).map(|(at, _)| at).collect()
}

fn indirect(listing: &str, function: &Function) -> Vec<u64> {
    let is_call = |text: &str| text.starts_with("blr") || (text.starts_with("call") && text.contains('*'));
    body(listing, function).into_iter().filter(|(_, text)| is_call(text)).map(|(at, _)| at).collect()
}

/// How many instructions the site stands behind the call.
fn distance(listing: &str, function: &Function, call: u64, site: u64) -> Result<usize> {
    let body = body(listing, function);
    let position = |at| body.iter().position(|(address, _)| *address == at).context("an instruction");
    Ok(position(site)?.saturating_sub(position(call)?))
}
