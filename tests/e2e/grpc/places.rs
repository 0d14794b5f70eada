//! Where the program's servers are.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use strobe_tests::client::Connection;
use strobe_tests::process::Running;

/// Where the program's servers are.
pub struct Places {
    /// gRPC's own transport.
    pub plain: SocketAddr,
    /// net/http's, over TLS.
    pub served: SocketAddr,
    /// Nobody listens there.
    pub closed: SocketAddr,
    /// A unix socket.
    pub unix: String,
    /// Refuses the first stream.
    pub refuses: SocketAddr,
    control: SocketAddr,
}

impl Places {
    /// As the program says it.
    pub fn of(app: &Running) -> Result<Self> {
        let word = |name: &str| {
            let line = app.expect_stdout(name, 0)?;
            Ok::<_, anyhow::Error>(line.rsplit(' ').next().unwrap_or_default().to_owned())
        };
        let address = |name| word(name)?.parse().with_context(|| format!("where {name} is"));
        Ok(Self {
            plain: address("plain ")?,
            served: address("served ")?,
            closed: address("closed ")?,
            unix: word("unix ")?,
            refuses: address("refuses ")?,
            control: address("control ")?,
        })
    }

    /// Has the program begin.
    pub fn begin(&self) -> Result<()> {
        let mut connection = Connection::open(self.control)?;
        connection.send(format!("GET /go HTTP/1.1\r\nHost: {}\r\n\r\n", self.control).as_bytes())
    }
}
