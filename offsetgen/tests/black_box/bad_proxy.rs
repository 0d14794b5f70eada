//! A proxy that answers 404, 410, 500, garbage, too little, the wrong thing, or nothing; no proxy at all; a full disk.
//!
//! Each ends in one message that says what and where, exit status 1, and no toolchain in the cache. There is no Go on
//! PATH, so it is offsetgen's own downloader that is tried, with the release whose hash is pinned.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Answer, Proxy, host, offsetgen, outcome, zip};

const PINNED: &str = "1.27.3";

fn info() -> Answer {
    Answer::Whole(200, format!("{{\"Version\":\"v0.0.1-go{PINNED}.linux-{}\"}}", host()).into_bytes())
}

/// The right info, and this for a zip.
fn with_zip(answer: Answer) -> Proxy {
    Proxy::start(move |path, _| if path.ends_with(".info") { info() } else { answer.clone() })
}

fn status(status: u16) -> Proxy {
    Proxy::start(move |_, _| Answer::Whole(status, b"no".to_vec()))
}

/// Asks for the pinned toolchain; returns the message after the checks that every case shares.
fn refused(goproxy: &str) -> String {
    let cache = tempfile::tempdir().expect("a folder");
    let output =
        offsetgen(goproxy, cache.path(), &["toolchain", PINNED, "--timeout", "1"]).output().expect("runs");
    let (code, message) = outcome(&output);
    assert_eq!(code, Some(1), "{message}");
    assert!(output.stdout.is_empty());
    let last = message.lines().filter(|line| line.starts_with("offsetgen: ")).collect::<Vec<_>>();
    assert_eq!(last.len(), 1, "one message:\n{message}");
    assert!(last[0].starts_with("offsetgen: cannot get the Go 1.27.3 toolchain: "), "{message}");
    nothing_left(cache.path());
    last[0].to_owned()
}

fn nothing_left(cache: &Path) {
    assert!(!cache.join("toolchains").exists(), "a marker was written");
    let left = fs::read_dir(cache.join("bootstrap")).into_iter().flatten().count();
    assert_eq!(left, 0, "half a toolchain stayed in the cache");
}

#[test]
fn what_does_not_exist() {
    for code in [403, 404, 410] {
        let message = refused(&status(code).url);
        assert!(message.contains("golang.org/toolchain@v0.0.1-go1.27.3.linux-"), "{message}");
        assert!(message.contains("does not exist"), "{message}");
    }
}

#[test]
fn server_errors_are_retried_then_told() {
    let proxy = status(500);
    let message = refused(&proxy.url);
    assert!(message.contains("/@v/v0.0.1-go1.27.3.linux-") && message.contains("HTTP 500"), "{message}");
    assert_eq!(proxy.asked.lock().expect("the log").len(), 4, "one try and three more");
}

#[test]
fn garbage() {
    let proxy = Proxy::start(|_, _| Answer::Whole(200, b"<html>Please log in</html>".to_vec()));
    let message = refused(&proxy.url);
    assert!(message.contains("not a version's info"), "{message}");
    let message = refused(&with_zip(Answer::Whole(200, b"<html></html>".to_vec())).url);
    assert!(message.contains("what the proxy sent: is no whole zip file"), "{message}");
}

#[test]
fn a_zip_that_is_cut() {
    let whole = zip(&[("golang.org/toolchain@x/VERSION", b"go1.27.3")]);
    let half = whole[..whole.len() / 2].to_vec();
    let message = refused(&with_zip(Answer::Whole(200, half.clone())).url);
    assert!(message.contains("is no whole zip file"), "{message}");
    let message = refused(&with_zip(Answer::Cut(half)).url);
    assert!(message.contains(".zip: "), "{message}");
}

#[test]
fn a_hash_mismatch() {
    let name = format!("golang.org/toolchain@v0.0.1-go1.27.3.linux-{}/VERSION", host());
    let message = refused(&with_zip(Answer::Whole(200, zip(&[(&name, b"go1.27.3\n")]))).url);
    assert!(message.contains("hash mismatch: the proxy's zip is h1:"), "{message}");
    assert!(message.contains("nothing of it was used"), "{message}");
}

#[test]
fn nothing_answers() {
    let message = refused("http://127.0.0.1:1");
    assert!(
        message.contains("http://127.0.0.1:1/") && message.to_lowercase().contains("refused"),
        "{message}"
    );
    let silent = Proxy::start(|_, _| Answer::Silence(Duration::from_secs(20)));
    let begun = Instant::now();
    let message = refused(&silent.url);
    assert!(message.contains("timed out"), "{message}");
    assert!(begun.elapsed() < Duration::from_secs(19), "{:?}", begun.elapsed());
}

#[test]
fn the_next_proxy_of_the_list() {
    let (first, second) = (status(404), status(410));
    let message = refused(&format!("{},{},direct", first.url, second.url));
    assert!(message.contains("does not exist"), "{message}");
    assert_eq!(second.asked.lock().expect("the log").len(), 1);
    let unasked = status(404);
    refused(&format!("http://127.0.0.1:1,{}", unasked.url));
    assert!(unasked.asked.lock().expect("the log").is_empty(), "a comma passes on absence only");
    refused(&format!("http://127.0.0.1:1|{}", unasked.url));
    assert_eq!(unasked.asked.lock().expect("the log").len(), 1);
}

/// With a Go on PATH that does the downloading, which waits for ever by itself.
#[test]
fn the_go_command_is_watched() {
    for (answer, expected) in [
        (Answer::Silence(Duration::from_secs(40)), "made no progress for 2 s after 0 bytes"),
        (Answer::Whole(200, b"<html></html>".to_vec()), "go mod download: "),
    ] {
        let proxy = Proxy::start(
            move |path, count| if path.ends_with(".info") && count == 0 { info() } else { answer.clone() },
        );
        let cache = tempfile::tempdir().expect("a folder");
        let mut command = offsetgen(&proxy.url, cache.path(), &["toolchain", PINNED, "--timeout", "2"]);
        command.env("PATH", std::env::var_os("PATH").expect("PATH")).env("HOME", cache.path());
        let begun = Instant::now();
        let (code, message) = outcome(&command.output().expect("runs"));
        assert_eq!(code, Some(1), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        nothing_left(cache.path());
    }
}

#[test]
fn no_proxy_is_known() {
    let cache = tempfile::tempdir().expect("a folder");
    for (goproxy, expected) in [("", "set GOPROXY to the address"), ("off", "names no module proxy")] {
        let output = offsetgen(goproxy, cache.path(), &["toolchain", PINNED]).output().expect("runs");
        let (code, message) = outcome(&output);
        assert_eq!(code, Some(1));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_full_disk() {
    let big = zip(&[("golang.org/toolchain@x/big", &vec![7; 4 << 20])]);
    let proxy = with_zip(Answer::Whole(200, big));
    let folder = tempfile::tempdir().expect("a folder");
    // A file system of its own, of 256 KiB, in a mount namespace that ends with the command.
    let script = "mount -t tmpfs -o size=256k none \"$1\" || exit 99; shift; \"$@\"; code=$?; \
                  find \"$OUT\" -type f -o -name .new-* | head -3 >&2; exit $code";
    let inner = offsetgen(&proxy.url, folder.path(), &["toolchain", PINNED]);
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(folder.path())
        .arg(inner.get_program());
    command.args(inner.get_args()).env("GOPROXY", &proxy.url).env("OUT", folder.path());
    // Without Go: the tools of the script are where every Debian has them, Go is not.
    command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    let (code, message) = outcome(&command.output().expect("unshare runs"));
    assert_ne!(code, Some(99), "no tmpfs could be mounted: {message}");
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("cannot write ") && message.contains("No space left on device"), "{message}");
    assert!(
        !message.lines().any(|line| line.contains(".new-") && !line.contains("offsetgen:")),
        "left: {message}"
    );
}

#[test]
fn usage_errors_are_64() {
    for arguments in [
        &["toolchain"][..],
        &["nonsense"],
        &["lookup", "std", "1.22", "NoField"],
        &["build", "--arch", "mips"],
        &["build", "--memory", "511"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_offsetgen")).args(arguments).output().expect("runs");
        assert_eq!(outcome(&output).0, Some(64), "{arguments:?}");
    }
    for arguments in ["--help", "--version"] {
        let output = Command::new(env!("CARGO_BIN_EXE_offsetgen")).arg(arguments).output().expect("runs");
        assert_eq!(outcome(&output).0, Some(0), "{arguments}");
    }
}
