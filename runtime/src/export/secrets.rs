//! What must never be printed: the credentials of the endpoint and of the headers.

use reqwest::Url;
use reqwest::header::HeaderMap;

/// Stands where a secret stood.
const REDACTED: &str = "REDACTED";
/// Shorter values are no secrets, and replacing them would garble every text.
const LEAST_CHARS: usize = 4;

/// The endpoint for a log: without credentials and query.
pub fn without_secrets(endpoint: &Url) -> String {
    format!("{}{}", endpoint.origin().ascii_serialization(), endpoint.path())
}

/// The same for a text that need not be a URL: whatever may be a credential or a query is left out.
pub fn text_without_secrets(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    // The last `@` of all, not of the authority alone: in what cannot be parsed a password may hold any character.
    let (credentials, rest) = rest.rsplit_once('@').map_or(("", rest), |(before, after)| (before, after));
    let shown = rest.split(['?', '#']).next().unwrap_or_default();
    let separator = if text.contains("://") { "://" } else { "" };
    let credentials = if credentials.is_empty() { "" } else { "REDACTED@" };
    format!("{scheme}{separator}{credentials}{shown}")
}

/// The secrets of one exporter, to be taken out of what a collector or a library says.
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Takes the values of the headers, and user, password and query of the endpoint.
    pub fn new(endpoint: &Url, headers: &HeaderMap) -> Self {
        let mut secrets = Vec::new();
        for value in headers.values().filter_map(|value| value.to_str().ok()) {
            secrets.push(value.to_owned());
            // A collector that complains about a token names the token, not the scheme in front of it.
            secrets.extend(value.split_once(' ').map(|(_, token)| token.to_owned()));
        }
        let parts = [Some(endpoint.username()), endpoint.password(), endpoint.query()];
        for part in parts.into_iter().flatten() {
            secrets.push(part.to_owned());
            let decoded = crate::spans::text::percent_decode(part.as_bytes());
            secrets.extend(decoded.and_then(|bytes| String::from_utf8(bytes).ok()));
        }
        secrets.retain(|secret| secret.chars().count() >= LEAST_CHARS);
        // The longest first: a part of it must not break it up before it is found.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The text without them.
    pub fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), REDACTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn texts_lose_credentials_and_queries() {
        for (text, want) in [
            ("http://c:4318/v1", "http://c:4318/v1"),
            ("http://user:s3cret@c:4318/v1?key=k#f", "http://REDACTED@c:4318/v1"),
            ("user:s3cret@c", "REDACTED@c"),
            ("http://user:s3?cr#et@c:99999", "http://REDACTED@c:99999"),
            ("http://user:s/3@cret@c", "http://REDACTED@c"),
            ("c?key=k", "c"),
            ("", ""),
        ] {
            assert_eq!(text_without_secrets(text), want);
        }
    }

    #[test]
    fn secrets_are_taken_out_of_what_others_say() {
        let endpoint = Url::parse("http://user:p%40ssword@c/?api_key=abcdef").expect("parses");
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer t0ken"));
        headers.insert("x-tenant", HeaderValue::from_static("a"));
        let secrets = Secrets::new(&endpoint, &headers);
        let text = "a token t0ken, Bearer t0ken, p%40ssword, p@ssword, api_key=abcdef";
        assert_eq!(secrets.redact(text), "a token REDACTED, REDACTED, REDACTED, REDACTED, REDACTED");
    }
}
