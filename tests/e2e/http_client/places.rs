//! Where the program listens.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use strobe_tests::process::Running;

/// Where the program's servers are.
pub struct Places {
    /// The server over HTTP/1.1.
    pub http: SocketAddr,
    /// The one over TLS, with HTTP/2.
    pub https: String,
    /// Answers one request, and closes at the next.
    pub dead: String,
    /// Nobody listens there.
    pub closed: String,
    /// Answers with a reset.
    pub resets: String,
    /// Speaks HTTP/2 without TLS, where golang.org/x/net is linked in.
    pub h2c: Option<SocketAddr>,
}

impl Places {
    /// As the program says it on its standard output.
    pub fn of(app: &Running) -> Result<Self> {
        let last = |line: String| line.rsplit([' ', '/']).next().unwrap_or_default().to_owned();
        let word = |name: &str| Ok::<_, anyhow::Error>(last(app.expect_stdout(name, 0)?));
        Ok(Self {
            http: word("listening on http://")?.parse().context("the program's address")?,
            https: word("listening on https://")?,
            dead: word("dead ")?,
            closed: word("closed ")?,
            resets: word("resets ")?,
            h2c: None,
        })
    }

    /// The same of a program with golang.org/x/net's HTTP/2.
    pub fn with_h2c(app: &Running) -> Result<Self> {
        let at = Self::of(app)?;
        let line = app.expect_stdout("h2c ", 0)?;
        let h2c = line.rsplit(' ').next().unwrap_or_default().parse().context("the address without TLS")?;
        Ok(Self { h2c: Some(h2c), ..at })
    }
}
