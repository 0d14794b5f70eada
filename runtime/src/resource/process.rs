//! What `/proc` and `/etc` know about a process and its host: thin readers over pure parsers.
//!
//! A process can end at any moment, and its files may be closed to us: whatever cannot be read is left out.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::config;

/// The most that is read of one file.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// USER_HZ: the unit of `/proc/PID/stat`'s start time, 100 on every architecture that strobe knows.
const TICKS_PER_SECOND: u64 = 100;
/// Digits of a container's id.
const CONTAINER_ID_DIGITS: usize = 64;

/// What is known of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Process id as the agent sees it.
    pub pid: u32,
    /// Process id as the process itself sees it (the innermost of `NSpid`).
    pub namespace_pid: Option<u32>,
    /// The executable.
    pub exe: Option<PathBuf>,
    /// Start time in clock ticks since boot.
    pub start_ticks: Option<u64>,
    /// Its environment may not be read: what would follow from it is not known.
    pub environ_is_closed: bool,
    /// `OTEL_SERVICE_NAME` in its environment.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES` in its environment, as written.
    pub resource_attributes: Option<String>,
    /// Its container.
    pub container_id: Option<String>,
}

impl ProcessFacts {
    /// Reads what there is to read.
    pub fn read(pid: u32) -> Self {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let environ = read(&proc.join("environ"));
        let environ_is_closed =
            matches!(&environ, Err(error) if error.kind() == io::ErrorKind::PermissionDenied);
        let environ = environ.unwrap_or_default();
        let text = |name: &str| read_text(&proc.join(name)).unwrap_or_default();
        Self {
            pid,
            namespace_pid: namespace_pid(&text("status")),
            exe: std::fs::read_link(proc.join("exe")).ok().map(without_deleted),
            start_ticks: start_ticks(&text("stat")),
            environ_is_closed,
            service_name: variable(&environ, config::SERVICE_NAME),
            resource_attributes: variable(&environ, config::RESOURCE_ATTRIBUTES),
            container_id: container_id(&text("cgroup")).or_else(|| container_id(&text("mountinfo"))),
        }
    }

    /// When the process began, in ISO 8601.
    pub fn creation_time(&self, host: &HostFacts) -> Option<String> {
        let ticks = self.start_ticks?;
        let since_boot = Duration::from_millis(ticks.checked_mul(1000 / TICKS_PER_SECOND)?);
        let time = SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(host.boot_unix_s?))?
            .checked_add(since_boot)?;
        // humantime panics beyond the year 9999.
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        (seconds < 253_402_300_800).then(|| humantime::format_rfc3339_millis(time).to_string())
    }
}

/// What is known of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Host name.
    pub name: Option<String>,
    /// `amd64` or `arm64`.
    pub arch: &'static str,
    /// Machine id.
    pub id: Option<String>,
    /// Id of this boot.
    pub boot_id: Option<String>,
    /// When the host was booted, seconds since 1970.
    pub boot_unix_s: Option<u64>,
}

impl HostFacts {
    /// Reads what there is to read; once per run of the agent.
    pub fn read() -> Self {
        let line = |path: &str| {
            let text = read_text(Path::new(path))?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        Self {
            name: line("/proc/sys/kernel/hostname"),
            arch: arch(std::env::consts::ARCH),
            id: line("/etc/machine-id").or_else(|| line("/var/lib/dbus/machine-id")),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
            boot_unix_s: read_text(Path::new("/proc/stat")).and_then(|stat| boot_unix_s(&stat)),
        }
    }
}

fn arch(rust: &'static str) -> &'static str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_text(path: &Path) -> Option<String> {
    read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// `/proc/PID/environ`: `name=value`, each ended by a NUL. The first wins, as in Go's `os.Getenv`; empty is unset.
fn variable(environ: &[u8], name: &str) -> Option<String> {
    let value = environ
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")))?;
    let value = std::str::from_utf8(value).ok()?.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// `/proc/PID/status`: `NSpid:\t4242\t17`, from our namespace to the innermost.
fn namespace_pid(status: &str) -> Option<u32> {
    let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    pids.split_whitespace().next_back()?.parse().ok()
}

/// `/proc/PID/stat`: field 22, counted from the end of the name, which may hold spaces and parentheses.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// `/proc/stat`: `btime 1790000000`.
fn boot_unix_s(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// `/proc/PID/exe` of a file that was removed ends so.
fn without_deleted(exe: PathBuf) -> PathBuf {
    match exe.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(path) => PathBuf::from(path),
        None => exe,
    }
}

/// The first name in a path of `/proc/PID/cgroup` or `mountinfo` that holds exactly 64 hexadecimal digits, as
/// `docker-<id>.scope` and `/containers/<id>/hostname` do. Not `sandboxes`: that is the pod's pause container.
fn container_id(text: &str) -> Option<String> {
    let lines = text.lines().filter(|line| !line.contains("/sandboxes/") && !line.contains("/overlay"));
    lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric())).find_map(|word| {
        let is_id = word.len() == CONTAINER_ID_DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| word.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn container_ids() {
        for (text, want) in [
            (format!("0::/system.slice/docker-{ID}.scope\n"), Some(ID)),
            (format!("12:pids:/kubepods/besteffort/pod1-2/{ID}\n"), Some(ID)),
            (format!("0::/kubepods.slice/cri-containerd-{ID}.scope"), Some(ID)),
            (format!("1 2 3:4 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw\n"), Some(ID)),
            (format!("1 2 3:4 /run/containerd/sandboxes/{ID}/shm /dev/shm rw\n"), None),
            (format!("0::/x/{ID}0\n"), None),
            ("0::/user.slice\n".to_owned(), None),
        ] {
            assert_eq!(container_id(&text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn parsers() {
        assert_eq!(variable(b"A=1\0OTEL_SERVICE_NAME=shop\0", config::SERVICE_NAME).as_deref(), Some("shop"));
        assert_eq!(variable(b"OTEL_SERVICE_NAMES=x\0OTEL_SERVICE_NAME=\0", config::SERVICE_NAME), None);
        assert_eq!(namespace_pid("Name:\tx\nNSpid:\t4242\t17\n"), Some(17));
        let stat = "42 (a) (b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 1";
        assert_eq!(start_ticks(stat), Some(12345));
        assert_eq!(start_ticks("42 (a"), None);
        assert_eq!(boot_unix_s("cpu 1\nbtime 1790000000\n"), Some(1_790_000_000));
        assert_eq!(without_deleted("/a/b (deleted)".into()), PathBuf::from("/a/b"));
    }

    #[test]
    fn creation_times() {
        let host = HostFacts { boot_unix_s: Some(1_700_000_000), ..HostFacts::default() };
        let time =
            |ticks| ProcessFacts { start_ticks: Some(ticks), ..ProcessFacts::default() }.creation_time(&host);
        assert_eq!(time(150).as_deref(), Some("2023-11-14T22:13:21.500Z"));
        assert_eq!(time(u64::MAX), None);
        assert_eq!(time(u64::MAX / 100), None);
    }

    #[test]
    fn reads_this_process_and_tolerates_a_gone_one() {
        let facts = ProcessFacts::read(std::process::id());
        assert_eq!(facts.exe, std::env::current_exe().ok());
        assert!(facts.start_ticks.is_some() && facts.namespace_pid.is_some());
        assert!(facts.creation_time(&HostFacts::read()).is_some());
        assert_eq!(ProcessFacts::read(u32::MAX), ProcessFacts { pid: u32::MAX, ..ProcessFacts::default() });
    }

    /// Capabilities are a thread's: this one has none. It may read what a process of its own user has that has none either.
    #[test]
    fn an_environment_that_may_not_be_read_is_told_from_an_empty_one() {
        let read = || {
            caps::clear(None, caps::CapSet::Effective).expect("fewer");
            (ProcessFacts::read(1).environ_is_closed, File::open("/proc/1/environ").is_err())
        };
        let (closed, denied) = std::thread::spawn(read).join().expect("no panic");
        assert_eq!(closed, denied);
        assert!(!ProcessFacts::read(std::process::id()).environ_is_closed);
    }
}
