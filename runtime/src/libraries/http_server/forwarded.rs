//! What a proxy in front says of the client's request: `Forwarded` (RFC 7239) and the `X-Forwarded-` headers that were there before.
//!
//! The first element of each list is the client's own end. A part that `Forwarded` has goes before the other header of its kind.
//! Whoever sends a request can write into them what they like: they are believed since the conventions say so, and can be
//! switched off.

use std::net::Ipv6Addr;

use crate::records::Text;

/// The first value of each header.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Headers<'a> {
    /// `Forwarded`.
    pub forwarded: Option<Text<'a>>,
    /// `X-Forwarded-For`.
    pub x_for: Option<Text<'a>>,
    /// `X-Forwarded-Host`.
    pub x_host: Option<Text<'a>>,
    /// `X-Forwarded-Proto`.
    pub x_proto: Option<Text<'a>>,
}

/// What they say.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// The client's address, perhaps with a port.
    pub client: Option<Box<str>>,
    /// The host that it asked for, perhaps with a port.
    pub host: Option<Box<str>>,
    /// `https` or the like.
    pub scheme: Option<Box<str>>,
}

impl Forwarded {
    /// Reads them.
    pub fn new(headers: &Headers<'_>) -> Self {
        let forwarded = headers.forwarded.map(forwarded).unwrap_or_default();
        Self {
            client: forwarded.client.or_else(|| client(&first(headers.x_for?)?)),
            host: forwarded.host.or_else(|| host(&first(headers.x_host?)?)),
            scheme: forwarded.scheme.or_else(|| scheme(&first(headers.x_proto?)?)),
        }
    }

    /// Whether they say nothing.
    pub fn is_empty(&self) -> bool {
        self.client.is_none() && self.host.is_none() && self.scheme.is_none()
    }
}

/// The first element of a list; `None` if it may be cut.
fn first(header: Text<'_>) -> Option<String> {
    let end = header.bytes.iter().position(|byte| *byte == b',');
    if end.is_none() && header.is_cut() {
        return None;
    }
    let bytes = header.bytes.get(..end.unwrap_or(header.bytes.len()))?;
    Some(std::str::from_utf8(bytes).ok()?.trim().to_owned())
}

/// The first element of a `Forwarded`: pairs of a name and a token or a quoted string, between semicolons.
fn forwarded(header: Text<'_>) -> Forwarded {
    let mut found = Forwarded::default();
    let mut rest = header.bytes;
    loop {
        let Some(equals) = rest.iter().position(|byte| matches!(byte, b'=' | b',' | b';')) else {
            return found;
        };
        let (name, behind) = rest.split_at(equals);
        match behind.split_first() {
            Some((b'=', _)) => {}
            // A pair may be empty.
            Some((b';', next)) if name.trim_ascii().is_empty() => {
                rest = next;
                continue;
            }
            _ => return found,
        }
        let Some((value, behind)) = value(behind.get(1..).unwrap_or_default()) else { return found };
        // What reaches to the end of a cut header may go on behind it.
        if behind.is_empty() && header.is_cut() {
            return found;
        }
        let is = |known: &str| name.trim_ascii().eq_ignore_ascii_case(known.as_bytes());
        match String::from_utf8(value) {
            Ok(text) if is("for") => found.client = found.client.or_else(|| client(&text)),
            Ok(text) if is("host") => found.host = found.host.or_else(|| host(&text)),
            Ok(text) if is("proto") => found.scheme = found.scheme.or_else(|| scheme(&text)),
            _ => {}
        }
        match behind.trim_ascii_start().split_first() {
            Some((b';', next)) => rest = next,
            _ => return found,
        }
    }
}

/// A token or a quoted string, and what is behind it.
fn value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|byte| matches!(byte, b',' | b';')).unwrap_or(text.len());
        let (token, behind) = text.split_at(end);
        return Some((token.trim_ascii().to_vec(), behind));
    };
    let mut value = Vec::new();
    loop {
        match rest {
            [b'"', behind @ ..] => return Some((value, behind)),
            [b'\\', byte, behind @ ..] | [byte, behind @ ..] => {
                value.push(*byte);
                rest = behind;
            }
            [] => return None,
        }
    }
}

/// An address, with or without a port, or a name that hides it (RFC 7239, 6.3). `unknown` is none.
fn client(text: &str) -> Option<Box<str>> {
    let name = text.split(':').next().unwrap_or_default();
    if name.eq_ignore_ascii_case("unknown") {
        return None;
    }
    authority(text).map(Box::from)
}

fn host(text: &str) -> Option<Box<str>> {
    authority(text).map(Box::from)
}

/// A name or an address, and its port unless that says nothing: it may be empty, or hidden (RFC 7239, 6.2). `None`: it is not of
/// that form, or names nobody.
fn authority(text: &str) -> Option<&str> {
    let (name, rest) = text.split_at_checked(name_len(text)?)?;
    let Some(port) = rest.strip_prefix(':') else { return rest.is_empty().then_some(name) };
    if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(text);
    }
    (port.is_empty() || port.starts_with('_') && port.chars().all(is_of_name)).then_some(name)
}

/// The length of what stands before a port. An address with more than one colon has no port unless it is in brackets.
fn name_len(text: &str) -> Option<usize> {
    if let Some((address, _)) = text.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        return is_ipv6(address).then_some(address.len() + 2);
    }
    let name = text.split(':').next().unwrap_or_default();
    if !name.is_empty() && name.chars().all(is_of_name) && text.matches(':').count() < 2 {
        return Some(name.len());
    }
    is_ipv6(text).then_some(text.len())
}

/// An IPv6 address, perhaps with a zone.
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.chars().all(is_of_name)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// A scheme (RFC 3986, 3.1), in lower case.
fn scheme(text: &str) -> Option<Box<str>> {
    let is_scheme = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme.then(|| text.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Option<Text<'_>> {
        Some(Text::whole(text.as_bytes()))
    }

    fn said(forwarded: &str) -> [Option<String>; 3] {
        let all = Forwarded::new(&Headers { forwarded: header(forwarded), ..Headers::default() });
        [all.client, all.host, all.scheme].map(|part| part.map(String::from))
    }

    #[track_caller]
    fn says(forwarded: &str, want: [&str; 3]) {
        let want = want.map(|part| Some(part.to_owned()).filter(|part| !part.is_empty()));
        assert_eq!(said(forwarded), want, "{forwarded}");
    }

    #[test]
    fn the_first_element_counts() {
        says("for=192.0.2.60;proto=http;by=203.0.113.43", ["192.0.2.60", "", "http"]);
        says("For=\"[2001:db8:cafe::17]:4711\"", ["[2001:db8:cafe::17]:4711", "", ""]);
        says("for=192.0.2.43, for=198.51.100.17;host=b", ["192.0.2.43", "", ""]);
        says("host=\"example.com:8443\" ; Proto=HTTPS;for=_gazonk", ["_gazonk", "example.com:8443", "https"]);
        says("for=\"a\\b\";host=h", ["ab", "h", ""]);
        says(";for=192.0.2.1; ;host=h;", ["192.0.2.1", "h", ""]);
    }

    #[test]
    fn what_is_not_of_the_standards_form_says_nothing() {
        for text in [
            "",
            "for",
            "for=unknown",
            "for=\"unknown:4711\"",
            "for=\"1.2.3.4",
            ",for=1.2.3.4",
            "for=<script>",
            "proto=1x",
            ";",
        ] {
            says(text, ["", "", ""]);
        }
        let cut = Text { bytes: b"proto=https;for=1.2.3.4", full_len: 500 };
        let all = Forwarded::new(&Headers { forwarded: Some(cut), ..Headers::default() });
        assert_eq!((all.client, all.scheme.as_deref()), (None, Some("https")));
    }

    #[test]
    fn an_address_has_a_port_that_says_something_or_none() {
        let whole =
            ["h:80", "[::1]:80", "::1", "fe80::1%eth0", "[fe80::1%eth0]", "_gazonk", "b\u{fc}cher.example"];
        for text in whole {
            assert_eq!(client(text).as_deref(), Some(text));
            assert_eq!(host(text).as_deref(), Some(text));
        }
        for (text, name) in
            [("h:", "h"), ("192.0.2.1:_b", "192.0.2.1"), ("[::1]:_b", "[::1]"), ("_a:_b", "_a")]
        {
            assert_eq!(client(text).as_deref(), Some(name), "{text}");
        }
        let none = [
            "",
            ":",
            ":443",
            "]]]:::[",
            "[",
            "[]",
            "[h]:80",
            "[::1]x",
            "[::1]80",
            "a:b:c",
            "a%b",
            "a b",
            "h:8o",
            "1.2.3.4:80:",
            "fe80::1%",
            "\u{202e}1.2.3.4",
            "a/b",
            "user@h",
        ];
        for text in none {
            assert_eq!((client(text), host(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn the_older_headers_fill_in() {
        let all = Headers {
            forwarded: header("for=unknown;host=a"),
            x_for: header("203.0.113.7, 10.0.0.1"),
            x_host: header("b"),
            x_proto: header("https,http"),
        };
        let all = Forwarded::new(&all);
        let want = (Some("203.0.113.7"), Some("a"), Some("https"));
        assert_eq!((all.client.as_deref(), all.host.as_deref(), all.scheme.as_deref()), want);
        let cut = Text { bytes: b"203.0.113.7", full_len: 500 };
        assert!(Forwarded::new(&Headers { x_for: Some(cut), ..Headers::default() }).is_empty());
    }
}
