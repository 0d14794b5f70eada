//! What the command's environment has that strobe's has not, and the other way round.
//!
//! A service manager names the process that it started in the environment; that process is strobe, and the one that is meant
//! is the command. The agent's own credentials are not the command's (docs/decisions/exec-environment.md).

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use nix::unistd::Pid;

/// Variables that name the process they are meant for by its id: sd_listen_fds(3), sd_watchdog_enabled(3), systemd.exec(5).
const NAME_THE_PROCESS: &[&str] = &["LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID"];
/// Names the process by the inode of its pidfd, since ids are used again (systemd 258).
const LISTEN_PIDFDID: &str = "LISTEN_PIDFDID";
/// What lets the agent in at the collector.
const CREDENTIALS: &[&str] = &["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"];
/// Addresses, which may hold a password: `https://user:password@host`.
const ENDPOINTS: &[&str] = &["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// Who was named, and who is meant.
#[derive(Debug, Clone, Copy)]
pub struct Successor {
    /// strobe's process id, as whoever started it knows it.
    pub from: Pid,
    /// The command's.
    pub to: Pid,
    /// The inode of the command's pidfd, where the kernel numbers them (6.9).
    pub pidfd_id: Option<u64>,
}

/// The command's environment as `execve` takes it.
pub fn for_command(
    variables: impl Iterator<Item = (OsString, OsString)>,
    successor: Successor,
    keep_credentials: bool,
) -> Vec<CString> {
    let mut variables: Vec<(OsString, OsString)> = variables.collect();
    let is_meant = variables.iter().any(|(name, value)| name == "LISTEN_PID" && names(value, successor.from));
    variables.retain_mut(|(name, value)| {
        if NAME_THE_PROCESS.iter().any(|known| name == known) && names(value, successor.from) {
            *value = successor.to.to_string().into();
        }
        if name == LISTEN_PIDFDID && is_meant {
            // Where no inode can be named the id alone has to do, as before that variable was invented.
            let Some(id) = successor.pidfd_id else { return false };
            *value = id.to_string().into();
        }
        keep_credentials || !is_credential(name, value)
    });
    let bytes = variables.into_iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    // A variable comes from a C string, so it holds no NUL.
    bytes.filter_map(|variable| CString::new(variable).ok()).collect()
}

/// The names of the variables that [`for_command`] leaves out as credentials.
pub fn credentials(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<String> {
    let held = variables.filter(|(name, value)| is_credential(name, value));
    held.map(|(name, _)| name.to_string_lossy().into_owned()).collect()
}

fn names(value: &OsString, pid: Pid) -> bool {
    value.as_bytes() == pid.to_string().as_bytes()
}

fn is_credential(name: &OsString, value: &OsString) -> bool {
    let among = |known: &[&str]| known.iter().any(|known| name == known);
    !value.is_empty() && (among(CREDENTIALS) || (among(ENDPOINTS) && has_user(value)))
}

/// Does the URL name a user: is there an `@` in what stands between `//` and the path?
fn has_user(url: &OsString) -> bool {
    let url = String::from_utf8_lossy(&url.clone().into_vec()).into_owned();
    let authority = url.split_once("//").map_or(url.as_str(), |(_, rest)| rest);
    authority.split(['/', '?', '#']).next().unwrap_or_default().contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)], pidfd_id: Option<u64>, keep: bool) -> Vec<String> {
        let variables = pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let successor = Successor { from: Pid::from_raw(10), to: Pid::from_raw(11), pidfd_id };
        let made = for_command(variables, successor, keep);
        made.into_iter().map(|variable| variable.into_string().expect("UTF-8")).collect()
    }

    #[test]
    fn what_names_strobe_names_the_command() {
        let pairs = [("LISTEN_PID", "10"), ("LISTEN_PIDFDID", "77"), ("WATCHDOG_PID", "10"), ("A", "10")];
        assert_eq!(
            environment(&pairs, Some(99), false),
            ["LISTEN_PID=11", "LISTEN_PIDFDID=99", "WATCHDOG_PID=11", "A=10"]
        );
        assert_eq!(environment(&pairs, None, false), ["LISTEN_PID=11", "WATCHDOG_PID=11", "A=10"]);
    }

    #[test]
    fn what_names_somebody_else_stays() {
        let pairs = [("LISTEN_PID", "4"), ("LISTEN_PIDFDID", "77"), ("WATCHDOG_PID", "")];
        assert_eq!(
            environment(&pairs, Some(99), false),
            ["LISTEN_PID=4", "LISTEN_PIDFDID=77", "WATCHDOG_PID="]
        );
    }

    #[test]
    fn credentials_are_the_agents_own() {
        let pairs = [
            ("OTEL_EXPORTER_OTLP_HEADERS", "key=secret"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "key=secret"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:secret@collector:4318/"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector:4318/a@b"),
            ("OTEL_SERVICE_NAME", "shop"),
        ];
        assert_eq!(
            environment(&pairs, None, false),
            ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://collector:4318/a@b", "OTEL_SERVICE_NAME=shop"]
        );
        assert_eq!(environment(&pairs, None, true).len(), pairs.len());
        let variables = pairs.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        assert_eq!(credentials(variables).len(), 3);
    }
}
