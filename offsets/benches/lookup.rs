//! What the embedded database costs a program: the first look-up of a module, and every later one.
//!
//! `cargo bench -p offsets`. Each figure is the minimum of its rounds: what the code takes, without what else the machine did.

use std::hint::black_box;
use std::time::{Duration, Instant};

use offsets::{Database, STD};

const FIELD: (&str, &str) = ("net/http.Request", "ctx");
const ROUNDS: usize = 20;
const LOOKUPS: u32 = 10_000;

fn main() {
    // A child for each round: a program reads its database once.
    if std::env::args().any(|word| word == "--first") {
        let begun = Instant::now();
        black_box(lookup());
        println!("{}", begun.elapsed().as_nanos());
        return;
    }
    let this = std::env::current_exe().expect("this program");
    let first = (0..ROUNDS).map(|_| {
        let output = std::process::Command::new(&this).arg("--first").output().expect("runs");
        let nanoseconds = String::from_utf8(output.stdout).expect("text").trim().parse().expect("a number");
        Duration::from_nanos(nanoseconds)
    });
    let first = first.min().unwrap_or_default();
    let later = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        for _ in 0..LOOKUPS {
            black_box(lookup());
        }
        begun.elapsed() / LOOKUPS
    });
    let later = later.min().unwrap_or_default();
    let bytes: usize = Database::embedded_files().iter().map(|(_, text)| text.len()).sum();
    println!("embedded: {} modules, {bytes} bytes", Database::embedded_files().len());
    println!("first look-up of std, reading it: {:.2} ms", first.as_secs_f64() * 1e3);
    println!("a later look-up: {:.2} µs", later.as_secs_f64() * 1e6);
}

fn lookup() -> Option<u64> {
    let (owner, field) = black_box(FIELD);
    Database::embedded().lookup(STD, black_box("1.26.11"), "amd64", owner, field).offset()
}
