//! `--exe`: relative, linked, several, in containers; hard links; files mounted under another name.

use std::os::unix::fs::symlink;

use anyhow::{Result, ensure};
use strobe_tests::machine;
use strobe_tests::process::{PATIENCE, Running};

use super::harness::{Stage, service_in, text};

/// Entries of the user's own are planned beside strobe's; that no spans are made of them yet is said.
#[test]
fn a_catalog_of_ones_own_is_planned_and_said() -> Result<()> {
    let stage = Stage::new()?;
    let own = stage.path("own");
    std::fs::create_dir(&own)?;
    let entry = "id = \"example.com/mine\"\ntitle = \"mine\"\nmodule = \"std\"\npresent = [\"net/http.(*conn).serve\"]\n";
    std::fs::write(own.join("mine.toml"), entry)?;
    let role = "[[role]]\nname = \"start\"\nrequired = true\n[[role.site]]\nfunction = \"net/http.Nope\"\nat = \"entry\"\n";
    std::fs::write(own.join("broken.toml"), entry.replace("mine", "broken") + role)?;
    let args = ["run", "--catalog", text(&own)?, "--exe", text(&stage.app)?];
    let mut agent = Running::start(&mut stage.strobe(&args)?)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let service = stage.service(&stage.app)?;
    agent.expect_stderr("example.com/mine: planned by your own catalog; no spans are made of it yet", 0)?;
    agent.expect_stderr(
        "example.com/broken: refused, as your own catalog has it: no site for role start in net/http.Nope: ",
        0,
    )?;
    agent.expect_stderr("tracing pid ", 0)?;
    service.requests(10)?;
    stage.settle(&mut agent, 10)?;
    std::fs::write(own.join("mine.toml"), entry.replace("title", "titel"))?;
    let mut agent = Running::start(&mut stage.strobe(&args)?)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.code() == Some(64), "{status}:\n{}", agent.output());
    agent.expect_stderr("mine.toml:2: titel", 0)?;
    Ok(())
}

#[test]
fn a_relative_and_a_linked_exe_and_several_of_them() -> Result<()> {
    let stage = Stage::new()?;
    let (other, linked) = (stage.path("other"), stage.path("linked"));
    machine::copy_program(&stage.app, &other)?;
    machine::copy_program(&stage.app, &linked)?;
    symlink(&linked, stage.path("link"))?;
    let mut command =
        stage.strobe(&["run", "--exe", "./httpserver", "--exe", text(&other)?, "--exe", "link"])?;
    let mut agent = Running::start(command.current_dir(stage.folder.path()))?;
    agent.expect_stderr("waiting for a process", 0)?;
    // The link's own name, and that of the file which it leads to.
    let services = [
        stage.service(&stage.app)?,
        stage.service(&other)?,
        stage.service(&linked)?,
        stage.service(&stage.path("link"))?,
    ];
    agent.expect_stderr("tracing pid ", 3)?;
    for service in &services {
        service.requests(10)?;
    }
    let got = stage.settle(&mut agent, 40)?;
    ensure!(got.len() == 4, "{got:?}");
    Ok(())
}

/// What can never run is said at once, not waited for in silence.
#[test]
fn an_exe_that_is_no_program_is_named() -> Result<()> {
    let stage = Stage::new()?;
    let mut agent = Running::start(&mut stage.strobe(&["run", "--exe", text(stage.folder.path())?])?)?;
    let status = agent.wait(PATIENCE)?;
    ensure!(status.code() == Some(1), "{status}:\n{}", agent.output());
    agent.expect_stderr("that is a folder; name the program in it", 0)?;
    let script = stage.path("start.sh");
    std::fs::write(&script, "#!/bin/sh\nexec ./httpserver\n")?;
    let mut agent = Running::start(&mut stage.strobe(&["run", "--exe", text(&script)?])?)?;
    agent.expect_stderr("no ELF file (a script?): no process runs from it", 0)?;
    agent.terminate()?;
    Ok(())
}

/// The kernel's filter has room for 2,048 names; beyond that every program that starts is looked at, and that is said.
#[test]
fn more_paths_than_the_filter_has_room_for() -> Result<()> {
    for (count, is_said) in [(300, false), (1_500, true)] {
        let stage = Stage::new()?;
        let mut command = stage.strobe(&["run", "--exe", text(&stage.app)?])?;
        for number in 0..count {
            command.args(["--exe", &format!("/absent/{number}")]);
        }
        let mut agent = Running::start(&mut command)?;
        agent.expect_stderr("waiting for a process", 0)?;
        let service = stage.service(&stage.app)?;
        agent.expect_stderr("tracing pid ", 0)?;
        service.requests(10)?;
        stage.settle(&mut agent, 10)?;
        let said = agent.stderr.all().iter().any(|line| line.contains("more names of executables"));
        ensure!(said == is_said, "{count} paths");
    }
    Ok(())
}

/// A deployment that changes `current` to the next release, and starts the program by its release's own name.
#[test]
fn a_link_that_changes_while_the_agent_runs() -> Result<()> {
    let stage = Stage::new()?;
    let (old, new, link) = (stage.path("release-1"), stage.path("release-2"), stage.path("current"));
    machine::copy_program(&stage.app, &old)?;
    machine::copy_program(&stage.app, &new)?;
    symlink(&old, &link)?;
    let mut agent = Running::start(&mut stage.strobe(&["run", "--exe", text(&link)?])?)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let first = stage.service(&old)?;
    agent.expect_stderr("tracing pid ", 0)?;
    symlink(&new, stage.path("staged"))?;
    std::fs::rename(stage.path("staged"), &link)?;
    let second = stage.service(&new)?;
    agent.expect_stderr("tracing pid ", 1)?;
    first.requests(10)?;
    second.requests(10)?;
    stage.settle(&mut agent, 20)?;
    Ok(())
}

/// Another name of the same inode is the same program.
#[test]
fn a_hard_link_is_its_file() -> Result<()> {
    let stage = Stage::new()?;
    std::fs::hard_link(&stage.app, stage.path("alias"))?;
    let mut agent = stage.trace_app()?;
    let service = stage.service(&stage.path("alias"))?;
    agent.expect_stderr("tracing pid ", 0)?;
    service.requests(10)?;
    stage.settle(&mut agent, 10)?;
    Ok(())
}

/// In a container the path leads through a link to a file of another name, or is a file mounted there from elsewhere.
#[test]
fn a_path_that_is_a_link_or_a_mounted_file_in_a_container() -> Result<()> {
    let stage = Stage::new()?;
    let inside = stage.path("inside");
    std::fs::create_dir(&inside)?;
    let exe = inside.join("service");
    let mut agent = Running::start(&mut stage.strobe(&["run", "--exe", text(&exe)?])?)?;
    agent.expect_stderr("not on this file system", 0)?;
    agent.expect_stderr("waiting for a process", 0)?;
    let (folder, app) = (text(&inside)?, text(&stage.app)?);
    let linked = format!(
        "mount -t tmpfs tmpfs {folder} && cp {app} {folder}/v1 && ln -s /../{folder}/v1 {folder}/service && exec \"$@\""
    );
    let mounted = format!(
        "mount -t tmpfs tmpfs {folder} && touch {folder}/service && mount --bind {app} {folder}/service && exec \"$@\""
    );
    let services = [
        service_in(&["unshare", "--mount", "sh", "-c", &linked, "sh"], &exe)?,
        service_in(&["unshare", "--mount", "sh", "-c", &mounted, "sh"], &exe)?,
    ];
    for service in &services {
        agent.expect_stderr(&format!("tracing pid {} ", service.running.pid()), 0)?;
        service.requests(10)?;
    }
    stage.settle(&mut agent, 20)?;
    Ok(())
}
