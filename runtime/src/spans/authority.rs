//! A host with or without a port, as it stands in URLs, in `Host` and in `:authority`.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare IPv6 address.
pub fn host_port(text: &str) -> (&str, Option<u16>) {
    // Only a bare IPv6 address has several colons and no bracket; parsing every host would cost a tenth of the span.
    let colons = text.bytes().filter(|byte| *byte == b':').count();
    if colons > 1 && text.parse::<Ipv6Addr>().is_ok() {
        return (text, None);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok()),
        _ => (text, None),
    };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    (inner.unwrap_or(host), port)
}

/// The same of a string that may be one's own.
pub fn host_port_of(text: Cow<'_, str>) -> (Cow<'_, str>, Option<u16>) {
    match text {
        Cow::Borrowed(text) => {
            let (host, port) = host_port(text);
            (host.into(), port)
        }
        Cow::Owned(text) => {
            let (host, port) = host_port(&text);
            (host.to_owned().into(), port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_their_ports() {
        for (text, host, port) in [
            ("a.b:80", "a.b", Some(80)),
            ("a.b", "a.b", None),
            ("a.b:", "a.b", None),
            (":80", "", Some(80)),
            ("a.b:http", "a.b:http", None),
            ("a.b:99999", "a.b", None),
            ("[::1]:80", "::1", Some(80)),
            ("[::1]", "::1", None),
            ("::1", "::1", None),
        ] {
            assert_eq!(host_port(text), (host, port), "{text}");
            assert_eq!(host_port_of(Cow::Owned(text.to_owned())), (host.into(), port), "{text}");
        }
    }
}
