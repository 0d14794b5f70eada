//! A bounded closed loop over kept-alive connections, cheap enough to share a processor with the agent.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context as _, Result, bail};

/// Connections to each service.
pub const CONNECTIONS: usize = 8;

/// The connections to one service.
#[derive(Debug)]
pub struct Load {
    streams: Vec<TcpStream>,
}

impl Load {
    /// Opens them; each has sent a first request when this returns.
    pub fn open(server: SocketAddr) -> Result<Self> {
        let open = || -> Result<TcpStream> {
            let mut stream = TcpStream::connect(server).context("connecting to the service")?;
            stream.set_nodelay(true)?;
            repeat(&mut stream, &request(3), 1)?;
            Ok(stream)
        };
        Ok(Self { streams: (0..CONNECTIONS).map(|_| open()).collect::<Result<_>>()? })
    }

    /// Sends `total` requests with `headers` headers beside Host; every answer must be a 200.
    pub fn run(&mut self, total: usize, headers: usize) -> Result<()> {
        let request = &request(headers);
        let share = |index| total / CONNECTIONS + usize::from(index < total % CONNECTIONS);
        std::thread::scope(|scope| {
            let streams = self.streams.iter_mut().enumerate();
            let workers: Vec<_> = streams
                .map(|(index, stream)| scope.spawn(move || repeat(stream, request, share(index))))
                .collect();
            workers
                .into_iter()
                .try_for_each(|w| w.join().map_err(|_| anyhow::anyhow!("a load thread panicked"))?)
        })
    }
}

/// What browsers and proxies send, beside Accept, User-Agent and Traceparent.
const OTHERS: [&str; 12] = [
    "Accept-Encoding",
    "Accept-Language",
    "Cache-Control",
    "Connection",
    "Content-Type",
    "Cookie",
    "Origin",
    "Referer",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Real-Ip",
    "X-Request-Id",
];

fn request(headers: usize) -> Vec<u8> {
    let mut text = String::from(
        "GET /items/42?verbose=1 HTTP/1.1\r\nHost: bench.example:8080\r\nUser-Agent: strobe-bench/1.0\r\n",
    );
    text.push_str("Accept: */*\r\n");
    for name in OTHERS.iter().take(headers - 3) {
        text.push_str(&format!("{name}: keep-alive\r\n"));
    }
    text.push_str("Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n");
    text.into_bytes()
}

/// All answers have the length of the first: fixed body, fixed headers.
fn repeat(stream: &mut TcpStream, request: &[u8], count: usize) -> Result<()> {
    let mut buffer = [0; 4096];
    let mut length = 0;
    for _ in 0..count {
        stream.write_all(request).context("sending a request")?;
        if length == 0 {
            length = stream.read(&mut buffer).context("reading the first answer")?;
        } else {
            stream.read_exact(&mut buffer[..length]).context("reading an answer")?;
        }
        if !buffer.starts_with(b"HTTP/1.1 200 ") {
            bail!("the service answered {:?}", String::from_utf8_lossy(&buffer[..length]));
        }
    }
    Ok(())
}
