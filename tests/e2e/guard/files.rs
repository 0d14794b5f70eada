//! One set of probes for each inode, and none longer than it is needed.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use strobe_tests::process::Running;

use super::stage::{Service, Stage};

fn attached(agent: &Running) -> usize {
    agent.stderr.all().iter().filter(|line| line.contains("probes attached")).count()
}

#[test]
fn chmod_chown_ln_and_rename_between_starts_make_no_second_set_of_probes() -> Result<()> {
    let stage = Stage::new()?;
    let agent = stage.waiting_agent()?;
    let link = stage.folder.path().join("link");
    let renamed = stage.folder.path().join("renamed");
    let steps: [&dyn Fn() -> Result<()>; 4] = [
        &|| Ok(std::fs::set_permissions(&stage.app, std::fs::Permissions::from_mode(0o700))?),
        &|| Ok(std::os::unix::fs::chown(&stage.app, Some(1), Some(1))?),
        &|| Ok(std::fs::hard_link(&stage.app, &link)?),
        &|| {
            std::fs::rename(&stage.app, &renamed)?;
            Ok(std::fs::rename(&renamed, &stage.app)?)
        },
    ];
    let mut services = vec![Service::start(&stage.app)?];
    for step in steps {
        step()?;
        services.push(Service::start(&stage.app)?);
    }
    for service in &services {
        service.traced_by(&agent)?;
        service.get("/")?;
    }
    let spans = stage.spans(services.len())?;
    ensure!(spans == services.len(), "{spans} spans:\n{}", agent.output());
    ensure!(attached(&agent) == 1, "one inode, one set:\n{}", agent.output());
    for service in &mut services {
        service.kill()?;
    }
    stage.overwrite_and_serve(&stage.app)
}

#[test]
fn a_crash_loop_costs_neither_another_process_a_span_nor_new_probes_each_time() -> Result<()> {
    let stage = Stage::new()?;
    let other = stage.another("looping")?;
    let agent = stage.agent(&[&stage.app, &other])?;
    agent.expect_stderr("waiting for a process", 0)?;
    let mut steady = Service::start(&stage.app)?;
    steady.traced_by(&agent)?;
    let mut due = 0;
    for _ in 0..8 {
        let mut looping = Service::start(&other)?;
        for _ in 0..50 {
            steady.get("/")?;
            due += 1;
        }
        std::thread::sleep(Duration::from_millis(800));
        looping.kill()?;
    }
    let spans = stage.spans(due)?;
    ensure!(spans == due, "{spans} of {due} spans:\n{}", agent.output());
    // Its own file once; the looping one twice: after the first end it cannot be known yet that it will be back.
    ensure!(attached(&agent) <= 3, "probes were attached {} times:\n{}", attached(&agent), agent.output());
    steady.kill()?;
    stage.overwrite_and_serve(&stage.app)?;
    stage.overwrite_and_serve(&other)
}

/// A file system of the test's own.
struct Mount(PathBuf);

impl Mount {
    fn new(place: &Path) -> Result<Self> {
        std::fs::create_dir(place)?;
        let target = CString::new(place.as_os_str().as_bytes())?;
        // SAFETY: strings that end in zeros; no data.
        let result =
            unsafe { libc::mount(c"none".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, std::ptr::null()) };
        ensure!(result == 0, "mounting a tmpfs: {}", std::io::Error::last_os_error());
        Ok(Self(place.to_owned()))
    }

    fn unmount(&self, flags: i32) -> Result<()> {
        let target = CString::new(self.0.as_os_str().as_bytes())?;
        // SAFETY: a string that ends in a zero.
        let result = unsafe { libc::umount2(target.as_ptr(), flags) };
        ensure!(result == 0, "umount: {}", std::io::Error::last_os_error());
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // It may be unmounted already.
        let _ = self.unmount(libc::MNT_DETACH);
    }
}

#[test]
fn a_file_system_can_be_unmounted_six_seconds_after_the_last_end_even_of_a_crash_loop() -> Result<()> {
    let stage = Stage::new()?;
    let mount = Mount::new(&stage.folder.path().join("mounted"))?;
    let app = mount.0.join("again");
    stage.copy(&app)?;
    let agent = stage.agent(&[&app])?;
    agent.expect_stderr("waiting for a process", 0)?;
    for _ in 0..3 {
        let mut service = Service::start(&app)?;
        service.traced_by(&agent)?;
        service.get("/")?;
        service.kill()?;
    }
    std::thread::sleep(Duration::from_secs(6));
    mount.unmount(0).with_context(|| agent.output())
}
