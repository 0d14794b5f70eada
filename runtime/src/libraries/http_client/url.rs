//! The URL of a request as `url.URL.String` writes it, with what is secret left out.

use std::borrow::Cow;
use std::fmt::Write as _;

use runtime_ebpf::http_client::records::{
    BEGAN_FRAGMENT, BEGAN_HOST, BEGAN_OPAQUE, BEGAN_PATH, BEGAN_QUERY, BEGAN_RAW_PATH, BEGAN_SCHEME,
};

use super::records::BeganTexts;
use crate::records::Text;
use crate::spans::semconv::REDACTED;
use crate::spans::{Counts, Settings, redaction, text};

/// What Go writes into a path as it is, beside letters and digits (net/url, `shouldEscape`).
const IN_PATH: &[u8] = b"-_.~$&+,/:;=@";
/// The same of a fragment.
const IN_FRAGMENT: &[u8] = b"-_.~$&+,/:;=?@!()*";
/// The same of a host, which may have a zone behind `%`.
const IN_HOST: &[u8] = b"-_.~!$&'()*+,;=:[]<>\"";
/// What a `RawPath` may have beside that; a percent sign begins an escape.
const IN_RAW_PATH: &[u8] = b"-_.~$&+,/:;=@!'()*[]%";

/// A URL.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Url {
    /// All of it.
    pub full: String,
    /// The host without its port, and without the brackets of an IPv6 address.
    pub host: String,
    /// The port, or the scheme's own.
    pub port: Option<u16>,
}

/// From the parts that a beginning has.
pub fn url(texts: &BeganTexts<'_>, has_user: bool, settings: &Settings, counts: &mut Counts) -> Url {
    let part = |slot: usize| texts.get(slot).copied().flatten().filter(|text: &Text<'_>| text.full_len > 0);
    let mut plain = |slot| part(slot).map_or(Cow::Borrowed(""), |text| text::lossy(text, counts));
    let (scheme, authority) = (plain(BEGAN_SCHEME), plain(BEGAN_HOST));
    // Who fills in the struct by hand may have put credentials there.
    let (in_host, authority) = without_credentials(&authority);
    let has_user = has_user || in_host;
    let mut full = String::with_capacity(128);
    if !scheme.is_empty() {
        let _ = write!(full, "{scheme}:");
    }
    let mut is_whole = true;
    if let Some(held) = part(BEGAN_OPAQUE) {
        let shown = text::lossy_url(held, counts);
        opaque(&shown, held.is_cut(), authority, settings, &mut full);
        is_whole = !held.is_cut();
    } else {
        write_authority(has_user, authority, &mut full);
        is_whole = path(part(BEGAN_PATH), part(BEGAN_RAW_PATH), &mut full, counts) && is_whole;
    }
    // What follows something that was cut would stand in the wrong place.
    if is_whole && let Some(query) = part(BEGAN_QUERY) {
        full.push('?');
        let shown = text::lossy_url(query, counts);
        full.push_str(&redaction::redact(shown, &settings.sensitive_query_keys));
        is_whole = !query.is_cut();
    }
    if is_whole && let Some(fragment) = part(BEGAN_FRAGMENT) {
        full.push('#');
        // It is written like a query by those who put tokens into it.
        let shown = redaction::redact(text::lossy(fragment, counts), &settings.sensitive_query_keys);
        escape(shown.as_bytes(), IN_FRAGMENT, &mut full);
    }
    let (host, port) = host_port(authority);
    let port = port.or(match &*scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    });
    Url { full, host: host.to_owned(), port }
}

/// `//`, credentials that are not shown, the host and its port.
fn write_authority(has_user: bool, authority: &str, full: &mut String) {
    full.push_str("//");
    if has_user {
        let _ = write!(full, "{REDACTED}:{REDACTED}@");
    }
    escape(authority.as_bytes(), IN_HOST, full);
}

/// Whether an authority has credentials, and what is behind them.
fn without_credentials(authority: &str) -> (bool, &str) {
    authority.rsplit_once('@').map_or((false, authority), |(_, behind)| (true, behind))
}

/// What `URL.Opaque` has in place of host and path: `//host/path?query`, or what is sent as it is to `URL.Host`.
fn opaque(shown: &str, is_cut: bool, authority: &str, settings: &Settings, full: &mut String) {
    let mut rest = shown;
    if let Some(behind) = shown.strip_prefix("//") {
        let end = behind.find(['/', '?', '#']);
        if end.is_none() && is_cut {
            // Nobody knows whether it is a host or the beginning of credentials.
            return full.push_str("//");
        }
        let (own, path) = behind.split_at_checked(end.unwrap_or(behind.len())).unwrap_or((behind, ""));
        let (has_user, own) = without_credentials(own);
        write_authority(has_user, own, full);
        rest = path;
    } else if shown.starts_with('/') {
        write_authority(false, authority, full);
    }
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    full.push_str(path);
    if let Some(query) = query {
        full.push('?');
        full.push_str(&redaction::redact(query.into(), &settings.sensitive_query_keys));
    }
}

/// `EscapedPath`: the path as it was written, if that means the same, else the path, escaped. Whether it is whole.
fn path(path: Option<Text<'_>>, raw: Option<Text<'_>>, full: &mut String, counts: &mut Counts) -> bool {
    let Some(path) = path else { return true };
    if path.bytes.first() != Some(&b'/') {
        full.push('/');
    }
    if let Some(raw) = raw.filter(|raw| means(raw, &path)) {
        full.push_str(&text::lossy_url(raw, counts));
        return !raw.is_cut();
    }
    if path.bytes == b"*" {
        full.push('*');
        return true;
    }
    let bytes = if path.is_cut() {
        counts.texts_cut += 1;
        text::without_partial_char(path.bytes)
    } else {
        path.bytes
    };
    escape(bytes, IN_PATH, full);
    !path.is_cut()
}

/// Whether a raw path is one, and means this path, as far as both are held.
fn means(raw: &Text<'_>, path: &Text<'_>) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || IN_RAW_PATH.contains(byte);
    if !raw.bytes.iter().all(is_plain) {
        return false;
    }
    if raw.is_cut() || path.is_cut() {
        return true;
    }
    text::percent_decode(raw.bytes).is_some_and(|decoded| decoded == path.bytes)
}

fn escape(bytes: &[u8], plain: &[u8], to: &mut String) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || plain.contains(byte) {
            to.push(char::from(*byte));
        } else {
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn host_port(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok()),
        _ => (authority, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    (bare.unwrap_or(host), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scheme, host, path, raw path, query, fragment, opaque.
    fn built(parts: [&str; 7], has_user: bool) -> Url {
        let text = |part: &'static str| Some(Text::whole(part.as_bytes()));
        let parts = parts.map(|part| text(part.to_owned().leak()));
        let mut texts: BeganTexts<'_> = [None; 8];
        texts[1..].copy_from_slice(&parts);
        url(&texts, has_user, &Settings::default(), &mut Counts::default())
    }

    #[test]
    fn urls_are_written_as_go_writes_them() {
        for (parts, want) in [
            (["http", "a.b:80", "/x", "", "", "", ""], "http://a.b:80/x"),
            (["https", "a.b", "", "", "", "", ""], "https://a.b"),
            (["http", "a", "/a b/ü", "", "q=1", "f r", ""], "http://a/a%20b/%C3%BC?q=1#f%20r"),
            (["http", "a", "/a/b", "/a%2Fb", "", "", ""], "http://a/a%2Fb"),
            (["http", "a", "/a/b", "/other", "", "", ""], "http://a/a/b"),
            (["http", "a", "/!(x)", "/!(x)", "", "", ""], "http://a/!(x)"),
            (["http", "a", "x", "", "", "", ""], "http://a/x"),
            (["http", "a", "/?", "", "token=x&b=1", "", ""], "http://a/%3F?token=REDACTED&b=1"),
            (["http", "a", "", "", "q", "", "//a/opaque"], "http://a/opaque?q"),
            (["http", "a:1", "", "", "", "", "/opaque"], "http://a:1/opaque"),
            (["mailto", "", "", "", "", "", "a@b"], "mailto:a@b"),
            (["http", "bücher", "/", "", "", "", ""], "http://b%C3%BCcher/"),
            (["http", "[fe80::1%lo]:1", "/", "", "", "", ""], "http://[fe80::1%25lo]:1/"),
        ] {
            assert_eq!(built(parts, false).full, want);
        }
        let with_user = built(["http", "a", "/x", "", "", "", ""], true);
        assert_eq!(with_user.full, "http://REDACTED:REDACTED@a/x");
    }

    #[test]
    fn nothing_secret_is_shown_wherever_it_stands() {
        for (parts, want) in [
            (
                ["http", "a", "", "", "", "", "//u:pw@a/x?sig=1&y"],
                "http://REDACTED:REDACTED@a/x?sig=REDACTED&y",
            ),
            (["http", "a", "", "", "", "", "//pw@a"], "http://REDACTED:REDACTED@a"),
            (["http", "a", "", "", "", "", "//a/x@y"], "http://a/x@y"),
            (["http", "u:pw@a:1", "/x", "", "", "", ""], "http://REDACTED:REDACTED@a:1/x"),
            (["http", "a", "/x", "", "", "access_token=1&b=2", ""], "http://a/x#access_token=REDACTED&b=2"),
        ] {
            assert_eq!(built(parts, false).full, want);
        }
        assert_eq!(built(["http", "u:pw@a:1", "", "", "", "", ""], false).host, "a");
        let mut texts: BeganTexts<'_> = [None; 8];
        texts[BEGAN_SCHEME] = Some(Text::whole(b"http"));
        texts[BEGAN_OPAQUE] = Some(Text { bytes: b"//user:long", full_len: 200 });
        assert_eq!(url(&texts, false, &Settings::default(), &mut Counts::default()).full, "http://");
    }

    #[test]
    fn the_server_is_the_urls_host() {
        for (scheme, host, want) in [
            ("http", "a.b", ("a.b", Some(80))),
            ("https", "a.b", ("a.b", Some(443))),
            ("https", "a.b:8443", ("a.b", Some(8443))),
            ("http", "[::1]:8080", ("::1", Some(8080))),
            ("http", "[::1]", ("::1", Some(80))),
            ("foo", "a", ("a", None)),
            ("http", "a:99999", ("a", Some(80))),
        ] {
            let url = built([scheme, host, "", "", "", "", ""], false);
            assert_eq!((url.host.as_str(), url.port), want, "{scheme} {host}");
        }
    }

    #[test]
    fn nothing_follows_what_was_cut() {
        let mut texts: BeganTexts<'_> = [None; 8];
        texts[BEGAN_SCHEME] = Some(Text::whole(b"http"));
        texts[BEGAN_HOST] = Some(Text::whole(b"a"));
        texts[BEGAN_PATH] = Some(Text { bytes: b"/a\xc3", full_len: 9_000 });
        texts[BEGAN_QUERY] = Some(Text::whole(b"q"));
        let url = url(&texts, false, &Settings::default(), &mut Counts::default());
        assert_eq!(url.full, "http://a/a");
    }
}
