//! `scripts/corpus`: fetches the corpus and prints where its files are, with what they are.

use std::process::ExitCode;

use strobe_tests::corpus::{self, Fetched};

fn main() -> ExitCode {
    let all = match corpus::all() {
        Ok(all) => all,
        Err(error) => {
            eprintln!("corpus: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    for (entry, fetched) in all {
        match fetched {
            Fetched::File(path) => println!("{}\t{}", path.display(), entry.name()),
            Fetched::Gone(why) => eprintln!("corpus: {}: {why}", entry.name()),
        }
    }
    ExitCode::SUCCESS
}
