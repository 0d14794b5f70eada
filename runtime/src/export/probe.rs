//! Asks a port what it speaks, where a request came back without an HTTP answer.
//!
//! Two connections, at most a second each: the first begins HTTP/2, the second TLS. A gRPC server answers the first with a
//! frame, a TLS server the second with a handshake or an alert. Nothing of the configuration goes over either.
//!
//! ```text
//!  HTTP/2 frame (RFC 9113 §4.1)   length(3) type(1): 4 SETTINGS, 7 GOAWAY  flags(1) stream(4): 0
//!  TLS record   (RFC 8446 §5.1)   type(1): 0x16 handshake, 0x15 alert      version(2): 0x03 …
//! ```

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};

use super::cause::Cause;

/// How long each connection may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// The client's connection preface (RFC 9113 §3.4): the magic and an empty SETTINGS frame.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What stands in the way of HTTP at this endpoint; `None` if that cannot be told.
pub(super) async fn ask(endpoint: &Url) -> Option<Cause> {
    let host = endpoint.host_str()?.trim_matches(['[', ']']).to_owned();
    let port = endpoint.port_or_known_default()?;
    if matches!(tokio::time::timeout(PATIENCE, lookup_host((host.as_str(), port))).await, Ok(Err(_))) {
        return Some(Cause::Name);
    }
    if endpoint.scheme() == "https" {
        // The client has begun TLS itself, and knows more of what came of it.
        return None;
    }
    let talk = |said: Vec<u8>| {
        let host = host.clone();
        async move { tokio::time::timeout(PATIENCE, exchange(&host, port, &said)).await.ok() }
    };
    match talk(HTTP2_PREFACE.to_vec()).await {
        Some(Err(error)) if Cause::of_io(&error) != Cause::Closed => return Some(Cause::of_io(&error)),
        Some(Ok(answer)) if is_http2(&answer) => return Some(Cause::Http2),
        Some(Ok(answer)) if is_tls(&answer) => return Some(Cause::Tls),
        // Closed, silent, or something else: it may be waiting for TLS.
        _ => {}
    }
    let answer = talk(client_hello(&host)?).await?.ok()?;
    is_tls(&answer).then_some(Cause::Tls)
}

/// Says something and reads the first bytes of the answer.
async fn exchange(host: &str, port: u16, said: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.write_all(said).await?;
    let mut answer = Vec::new();
    while answer.len() < 9 {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(answer)
}

fn is_http2(answer: &[u8]) -> bool {
    matches!(answer, [0, _, _, 4 | 7, _, 0, 0, 0, 0, ..])
}

fn is_tls(answer: &[u8]) -> bool {
    matches!(answer, [0x15 | 0x16, 3, ..])
}

/// The first message of a TLS client that trusts nobody: it is never going to be finished.
fn client_hello(host: &str) -> Option<Vec<u8>> {
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).ok()?;
    let mut hello = Vec::new();
    client.write_tls(&mut hello).ok()?;
    Some(hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        assert!(is_http2(b"\0\0\x06\x04\0\0\0\0\0\0\x05"));
        assert!(is_http2(b"\0\0\x08\x07\0\0\0\0\0"));
        assert!(!is_http2(b"HTTP/1.1 400") && !is_http2(b"\0\0\x06\x04") && !is_http2(b""));
        assert!(is_tls(b"\x16\x03\x03\0\x7a") && is_tls(b"\x15\x03\x01\0\x02\x02\x46"));
        assert!(!is_tls(b"HTTP/1.0 400") && !is_tls(b""));
    }
}
