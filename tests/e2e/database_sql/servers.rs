//! Real servers: PostgreSQL by lib/pq and pgx, MariaDB by go-sql-driver/mysql. Each is started by the test on a socket and a port of its
//! own, with its data in a folder of the test's.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::golang::go;
use strobe_tests::machine;
use strobe_tests::spans::{Received, Value};

use super::seen::{SCOPE, text};
use super::sqlite::build;
use strobe_tests::stage::Stage;

const DRIVERS: &[(&str, &str)] =
    &[("drivers/servers.go", include_str!("../../apps/databasesql/drivers/servers.go"))];
/// What starts within that has started.
const PATIENCE: Duration = Duration::from_secs(60);
/// Servers do not run as root.
const USER: &str = "nobody";

/// A server, which is ended with its test.
struct Server {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server itself: setpriv has become it.
        let pid = i32::try_from(self.child.id()).unwrap_or(0);
        if pid > 0 {
            // SAFETY: plain system call; the child has not been waited for, so the id is its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A folder that the servers' user may write to.
fn folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir().context("a folder for the server")?;
    machine::run(Command::new("chown").arg(USER).arg(folder.path()))?;
    Ok(folder)
}

fn as_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", "nogroup", "--clear-groups", "--"]).arg(program);
    command.env("HOME", "/");
    command
}

fn start(mut command: Command, folder: tempfile::TempDir, port: u16) -> Result<Server> {
    let log = fs::File::create(folder.path().join("log")).context("the server's log")?;
    let child = command
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("start the server")?;
    Ok(Server { child, folder, port })
}

impl Server {
    /// Waits until this succeeds.
    fn until(&self, mut ask: impl FnMut() -> Command) -> Result<()> {
        let started = Instant::now();
        loop {
            let out = ask().output().context("ask the server")?;
            if out.status.success() {
                return Ok(());
            }
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            ensure!(started.elapsed() < PATIENCE, "the server does not answer: {said}\n{log}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The folder of PostgreSQL's programs.
fn postgres_programs() -> Result<PathBuf> {
    let versions =
        fs::read_dir("/usr/lib/postgresql").context("postgresql is not installed: scripts/setup")?;
    let newest = versions.filter_map(|entry| Some(entry.ok()?.path())).max();
    Ok(newest.context("no version of postgresql")?.join("bin"))
}

fn postgres() -> Result<Server> {
    let programs = postgres_programs()?;
    let (folder, port) = (folder()?, free_port()?);
    let data = folder.path().join("data");
    machine::run(
        as_user(&programs.join("initdb")).args(["--auth=trust", "--username=tester", "-D"]).arg(&data),
    )?;
    let mut command = as_user(&programs.join("postgres"));
    command.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"]).arg(folder.path());
    let server = start(command, folder, port)?;
    server.until(|| {
        let mut ask = Command::new(programs.join("createdb"));
        ask.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", "tester", "shop"]);
        ask
    })?;
    Ok(server)
}

fn mariadb() -> Result<Server> {
    let (folder, port) = (folder()?, free_port()?);
    let data = folder.path().join("data");
    let install = Path::new("/usr/bin/mariadb-install-db");
    ensure!(install.is_file(), "mariadb-server-core is not installed: scripts/setup");
    let data_dir = format!("--datadir={}", data.display());
    machine::run(as_user(install).args([
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        &data_dir,
    ]))?;
    let socket = folder.path().join("socket");
    let mut command = as_user(Path::new("/usr/sbin/mariadbd"));
    command.args(["--no-defaults", "--bind-address=127.0.0.1", &data_dir]);
    command.arg(format!("--port={port}")).arg(format!("--socket={}", socket.display()));
    let server = start(command, folder, port)?;
    server.until(|| {
        let mut ask = Command::new("/usr/bin/mariadb");
        ask.args(["--no-defaults", "-uroot", "-e", "CREATE DATABASE shop"]);
        ask.arg(format!("--socket={}", socket.display()));
        ask
    })?;
    Ok(server)
}

/// What is due of each driver: the words of a name, where `{}` stands for the driver, and `error.type`.
fn due(kind: &str) -> Vec<(&'static str, &'static str)> {
    let is_mysql = kind.starts_with("mysql");
    let (exists, missing) = if is_mysql { ("1062", "1146") } else { ("23505", "42P01") };
    let late = match kind {
        _ if is_mysql => ("DO", "context.deadlineExceededError"),
        // The server says that its statement was cancelled.
        "pq" | "pq_connector" => ("SELECT", "57014|context.deadlineExceededError"),
        _ => ("SELECT", "context.deadlineExceededError"),
    };
    vec![
        ("PING shop", ""),
        ("CREATE TABLE {}_people", ""),
        ("INSERT {}_people", ""),
        ("INSERT {}_people", exists),
        ("SELECT {}_people", ""),
        ("SELECT {}_missing", missing),
        ("BEGIN shop", ""),
        ("UPDATE {}_people", ""),
        ("COMMIT shop", ""),
        late,
    ]
}

/// What differs. Of databases of the kind `silent` only the system is known.
fn compare(spans: &[&Received], kinds: &[&str], system: &str, silent: &str, port: u16) -> Vec<String> {
    let mut wrong = Vec::new();
    let all: Vec<(&str, &str, &str)> = kinds
        .iter()
        .flat_map(|kind| due(kind).into_iter().map(|(name, error)| (*kind, name, error)))
        .collect();
    if spans.len() != all.len() {
        let names: Vec<&str> = spans.iter().map(|span| span.span.name.as_str()).collect();
        wrong.push(format!("{} spans are due, got {names:#?}", all.len()));
    }
    for (span, (kind, name, error)) in spans.iter().zip(all) {
        let name = if kind == silent { name.trim_end_matches(" shop") } else { name };
        let name = name.replace("{}", kind);
        let got = text(span, "error.type").unwrap_or_default();
        if span.span.name != name || !error.split('|').any(|one| one == got) {
            wrong.push(format!("{kind}: {name} {error:?} is due, got {} {got:?}", span.span.name));
        }
        let code = text(span, "db.response.status_code");
        if code.is_some() != got.starts_with(|first: char| first.is_ascii_digit()) {
            wrong.push(format!("{kind}: {name}: code {code:?}"));
        }
        let place = [
            ("db.system.name", Value::Str(system.to_owned())),
            ("server.address", Value::Str("127.0.0.1".to_owned())),
            ("server.port", Value::Int(i64::from(port))),
            ("db.namespace", Value::Str("shop".to_owned())),
        ];
        let known = if kind == silent { 1 } else { place.len() };
        for (key, value) in place.into_iter().take(known) {
            if span.attributes.get(key) != Some(&value) {
                wrong.push(format!("{kind}: {name}: {key} is {:?}", span.attributes.get(key)));
            }
        }
    }
    wrong
}

/// The versions of lib/pq, pgx and go-sql-driver/mysql, with what they need.
type Modules = &'static [(&'static str, &'static str)];

const OLD: Modules = &[
    ("github.com/lib/pq", "v1.10.9"),
    ("github.com/jackc/pgx/v5", "v5.5.5"),
    ("github.com/go-sql-driver/mysql", "v1.7.1"),
];
const NEW: Modules = &[
    ("github.com/lib/pq", "v1.12.3"),
    ("github.com/jackc/pgx/v5", "v5.13.0"),
    ("github.com/go-sql-driver/mysql", "v1.10.1"),
];

fn operations(version: &str, modules: Modules, server: &Server, variable: &str, dsn: &str) -> Result<()> {
    let (kinds, system): (&[&str], _) = match variable {
        "SQL_MYSQL" => (&["mysql", "mysql_connector"], "mysql"),
        _ => (&["pq", "pq_connector", "pgx", "pgx_connector"], "postgresql"),
    };
    let mut stage = Stage::new(&build(version, DRIVERS, modules)?, &[(variable, dsn)], &[])?;
    let spans = stage.run(kinds.len() * 10)?;
    let mut of_sql: Vec<&Received> = spans.iter().filter(|span| span.scope == SCOPE).collect();
    of_sql.sort_by_key(|span| span.span.start_time_unix_nano);
    // Up to v1.10 a connector of lib/pq keeps a map of settings.
    let silent = if modules.contains(&("github.com/lib/pq", "v1.10.9")) { "pq_connector" } else { "" };
    let mut wrong = compare(&of_sql, kinds, system, silent, server.port);
    let shown = format!("{spans:?}");
    if shown.contains("secret") || shown.contains("hidden") {
        wrong.push("a literal or a password is shown".to_owned());
    }
    let lost = losses(&stage.agent);
    ensure!(wrong.is_empty() && lost.is_empty(), "{}\n{lost:?}\n{}", wrong.join("\n"), stage.agent.output());
    stage.stop()
}

#[test]
fn postgresql() -> Result<()> {
    for (version, modules) in [(go(22), OLD), (go(27), NEW)] {
        let server = postgres()?;
        let dsn = format!("postgres://tester:hidden@127.0.0.1:{}/shop?sslmode=disable", server.port);
        operations(version, modules, &server, "SQL_POSTGRES", &dsn)
            .with_context(|| format!("Go {version}"))?;
    }
    Ok(())
}

#[test]
fn mysql() -> Result<()> {
    for (version, modules) in [(go(22), OLD), (go(27), NEW)] {
        let server = mariadb()?;
        let dsn = format!("root@tcp(127.0.0.1:{})/shop", server.port);
        operations(version, modules, &server, "SQL_MYSQL", &dsn).with_context(|| format!("Go {version}"))?;
    }
    Ok(())
}
