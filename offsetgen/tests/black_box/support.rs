//! A module proxy that misbehaves on demand, and a way to run the real binary against it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the proxy answers one request.
#[derive(Clone)]
pub enum Answer {
    /// A status and a body, with its true length.
    Whole(u16, Vec<u8>),
    /// 200, a length that is larger than the body, and the end of the connection.
    Cut(Vec<u8>),
    /// Nothing, for so long.
    Silence(Duration),
    /// 429, and when to ask again in seconds.
    Throttle(u64),
    /// The end of the connection, without a word.
    Drop,
}

type Script = dyn Fn(&str, usize) -> Answer + Send + Sync;

/// A proxy on loopback; it lives as long as the test process.
pub struct Proxy {
    /// For GOPROXY.
    pub url: String,
    /// The paths that were asked for.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `script` is given the path and how many requests there were before.
    pub fn start(script: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&asked));
        let count = Arc::new(AtomicUsize::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log, count) = (Arc::clone(&script), Arc::clone(&log), Arc::clone(&count));
                // A client that has gone away is what some of these tests are about.
                std::thread::spawn(move || drop(serve(stream, &*script, &log, &count)));
            }
        });
        Self { url, asked }
    }
}

fn serve(
    mut stream: TcpStream,
    script: &Script,
    log: &Mutex<Vec<String>>,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    while reader.read_line(&mut line)? > 2 {}
    log.lock().expect("the log").push(path.clone());
    let (status, length, body) = match script(&path, count.fetch_add(1, Ordering::SeqCst)) {
        Answer::Whole(status, body) => (status, body.len(), body),
        Answer::Cut(body) => (200, body.len() + 1000, body),
        Answer::Throttle(seconds) => {
            let head = format!("HTTP/1.1 429 X\r\nRetry-After: {seconds}\r\n");
            return stream
                .write_all(format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes());
        }
        Answer::Drop => return Ok(()),
        Answer::Silence(time) => {
            std::thread::sleep(time);
            return Ok(());
        }
    };
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&body)
}

/// The binary, with nothing of this machine's Go.
pub fn offsetgen(goproxy: &str, cache: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offsetgen"));
    command.args(arguments).arg("--cache").arg(cache);
    command.env_clear().env("PATH", "/nonexistent").env("GOPROXY", goproxy);
    command
}

/// Exit status, and stderr as text.
pub fn outcome(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The host's architecture as Go spells it.
pub fn host() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

/// A zip with these files.
pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        let options =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        writer.start_file(*name, options).expect("starts");
        writer.write_all(content).expect("writes");
    }
    writer.finish().expect("finishes").into_inner()
}

/// Writes a catalog: its files stand one behind the other, each under a line `-- NAME --` (Go's txtar).
pub fn write_catalog(folder: &Path, text: &str) {
    std::fs::create_dir_all(folder.join("targets")).expect("a folder");
    for part in text.split("-- ").skip(1) {
        let (name, text) = part.split_once(" --\n").expect("a name");
        let place = if name.ends_with(".go") { folder.join("targets") } else { folder.to_owned() };
        std::fs::write(place.join(name), text).expect("written");
    }
}
