//! What stands where a file was expected, files that change meanwhile, and readers that go away: `analyze` neither hangs
//! nor dies of it, and its exit status says what it found.

mod support;

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use support::{SERVER, STRIPPED, build};
use tempfile::TempDir;

fn analyze(args: &[&Path]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_analyze"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An executable of half a gigabyte, nearly all of it a hole: Go's tables are looked for in all of it.
fn vast(path: &Path) {
    const BYTES: u64 = 512 << 20;
    let mut head = vec![0; 120];
    let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[2, 0, 62, 0, 1]); // executable, x86-64
    put(32, &64_u64.to_le_bytes()); // program headers
    put(52, &[64, 0, 56, 0, 1, 0]); // sizes, and one program header:
    put(64, &[1, 0, 0, 0, 4]); // PT_LOAD, readable
    put(80, &0x40_0000_u64.to_le_bytes());
    put(96, &BYTES.to_le_bytes());
    put(104, &BYTES.to_le_bytes());
    let file = File::create(path).expect("a file");
    file.write_all_at(&head, 0).expect("written");
    file.set_len(BYTES).expect("a hole");
}

#[test]
fn a_file_that_shrinks_is_an_error_and_the_others_are_read() {
    let folder = TempDir::new().expect("a folder");
    let good = build(&folder, "server", SERVER, STRIPPED);
    let shrinking = folder.path().join("shrinking");
    // When the file shrinks is a matter of timing; that the run survives it is not.
    for _ in 0..20 {
        vast(&shrinking);
        let child = analyze(&[&shrinking, &good]).spawn().expect("analyze starts");
        std::thread::sleep(Duration::from_millis(30));
        File::options().write(true).open(&shrinking).and_then(|f| f.set_len(4096)).expect("cut");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(2), "{:?}: {}", output.status, said(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains("net/http.server"), "{}", said(&output));
        if said(&output).contains("changed while it was read: it had 536870912 bytes and has 4096") {
            return;
        }
    }
    panic!("in 20 runs the file never shrank while it was read");
}

#[test]
fn a_fifo_is_refused_and_not_waited_for() {
    let folder = TempDir::new().expect("a folder");
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let output = analyze(&[&fifo]).output().expect("analyze ends");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("not a regular file"), "{}", said(&output));
}

#[test]
fn a_reader_that_goes_away_does_not_change_the_status() {
    let folder = TempDir::new().expect("a folder");
    let good = build(&folder, "server", SERVER, STRIPPED);
    let mut child = analyze(&[Path::new("--require"), Path::new("database/sql"), &good, &good])
        .spawn()
        .expect("analyze starts");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("read");
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "{stderr}");
    // With nobody at stderr either.
    let closed = analyze(&[Path::new("missing"), &good])
        .stderr(File::create("/dev/full").expect("/dev/full"))
        .output();
    assert_eq!(closed.expect("analyze ends").status.code(), Some(2));
}

#[test]
fn names_cannot_move_the_cursor() {
    let folder = TempDir::new().expect("a folder");
    let good = build(&folder, "server", SERVER, STRIPPED);
    let odd = folder.path().join("a\u{1b}[2J\nb");
    fs::rename(good, &odd).expect("renamed");
    let output = analyze(&[&odd]).output().expect("analyze ends");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("a\\u{1b}[2J\\nb"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}
