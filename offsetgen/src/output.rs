//! What goes to stdout. A reader that goes away early (`| head`) ends the printing, not the judging: the exit status is
//! the same, as `analyze` has it. Any other failure to write is an error.

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};
use offsets::printable::printable;

/// Prints text as it is.
pub fn print(text: &str) -> Result<()> {
    write(&mut io::stdout().lock(), text)
}

fn write(to: &mut impl Write, text: &str) -> Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// The line of what a compiler or the go command said that tells most, their last one, without control characters.
pub fn last_line(text: &str) -> String {
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    printable(last).into_owned()
}

/// At most so many characters. A longer text is cut in the middle: what a chain of causes ends with tells most.
pub fn cut(text: &str, limit: usize) -> String {
    let count = text.chars().count();
    if count <= limit {
        return text.to_owned();
    }
    let kept = limit.saturating_sub(1);
    let begin = text.chars().take(kept / 2).chain(['…']);
    begin.chain(text.chars().skip(count - (kept - kept / 2))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is_one() {
        write(&mut Fails(ErrorKind::BrokenPipe), "x").expect("swallowed");
        let error = write(&mut Fails(ErrorKind::StorageFull), "x").expect_err("an error");
        assert_eq!(error.to_string(), "cannot write to standard output");
    }

    #[test]
    fn last_lines() {
        assert_eq!(last_line("# m\n./main.go:1:2: undefined: m.T\n \n"), "./main.go:1:2: undefined: m.T");
        assert_eq!(last_line("a\u{1b}[2J"), "a\\u{1b}[2J");
        assert_eq!(last_line(" \n"), "");
        assert_eq!((cut("äöü", 3), cut("äöüß", 3)), ("äöü".to_owned(), "ä…ß".to_owned()));
    }
}
