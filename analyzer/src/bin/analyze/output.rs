//! What goes to stdout and stderr. A reader that goes away early (`| head`) ends the printing, not the judging: the exit
//! status is the same. Text that comes from a file or a file's name cannot move a terminal's cursor or forge a line.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use offsets::printable::printable;

/// A stream whose reader may go away.
#[derive(Debug)]
pub struct Output<W> {
    to: W,
    closed: bool,
}

impl<W: Write> Output<W> {
    /// Before anything is written.
    pub fn new(to: W) -> Self {
        Output { to, closed: false }
    }

    fn unless_closed<T>(&mut self, nothing: T, act: impl FnOnce(&mut W) -> io::Result<T>) -> io::Result<T> {
        if self.closed {
            return Ok(nothing);
        }
        match act(&mut self.to) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(nothing)
            }
            other => other,
        }
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_closed(bytes.len(), |to| to.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_closed((), Write::flush)
    }
}

/// A line on stderr; when that is closed there is nobody to tell.
pub fn complain(what: impl Display) {
    let _ = writeln!(io::stderr(), "analyze: {}", clean(&what.to_string()));
}

/// What acts on a terminal spelled out (`\u{1b}`), line ends included.
pub fn clean(text: &str) -> Cow<'_, str> {
    printable(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_spelled() {
        assert_eq!(clean("go1.27.4 é"), "go1.27.4 é");
        assert_eq!(clean("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb");
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(ErrorKind::BrokenPipe.into())
            }
        }
        let mut out = Output::new(Gone);
        out.write_all(b"x").expect("swallowed");
        out.flush().expect("swallowed");
    }
}
