//! What may stand at an endpoint in place of a collector: ports that speak something else, or nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result};

/// What a port does with each connection.
#[derive(Debug, Clone, Copy)]
pub enum Port {
    /// Sends the first frame of HTTP/2 (an empty SETTINGS) and reads nothing, as gRPC servers do.
    Http2,
    /// Answers a TLS handshake with an alert; resets the connection on anything else.
    Tls,
    /// Resets the connection.
    Reset,
    /// Reads and never answers.
    Silent,
    /// Answers every request with 400 and says back what it was sent.
    Echo,
}

impl Port {
    /// Listens on a free port of loopback until the test ends; its `host:port`.
    pub fn open(self) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen")?;
        let address = listener.local_addr()?.to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || self.serve(stream));
            }
        });
        Ok(address)
    }

    fn serve(self, mut stream: TcpStream) {
        let mut first = [0; 16 << 10];
        match self {
            Self::Http2 => {
                if stream.write_all(b"\0\0\0\x04\0\0\0\0\0").is_ok() {
                    wait_for_end(&mut stream);
                }
            }
            Self::Tls => {
                let read = stream.read(&mut first).unwrap_or(0);
                match first.get(..read) {
                    // The alert handshake_failure; the peer may be gone.
                    Some([0x16, 3, ..]) => drop(stream.write_all(b"\x15\x03\x03\0\x02\x02\x28")),
                    _ => reset(stream),
                }
            }
            Self::Reset => {
                // One byte is enough to know that a request begins.
                let _ = stream.read(&mut first[..1]);
                reset(stream);
            }
            Self::Silent => wait_for_end(&mut stream),
            Self::Echo => {
                while let Ok(read @ 1..) = stream.read(&mut first) {
                    let head = format!("HTTP/1.1 400 No\r\nContent-Length: {read}\r\n\r\n");
                    let answer = [head.as_bytes(), first.get(..read).unwrap_or_default()].concat();
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn wait_for_end(stream: &mut TcpStream) {
    let mut ignored = [0; 4096];
    while matches!(stream.read(&mut ignored), Ok(1..)) {}
}

/// Closes with RST instead of FIN.
fn reset(stream: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the option's value is one linger, which outlives the call; the descriptor is open.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        );
    }
    std::thread::sleep(Duration::from_millis(1));
}
