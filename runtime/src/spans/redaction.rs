//! Credentials in a query are not shown: the key stays, the value becomes `REDACTED`.
//!
//! A key is compared without regard to case and with its escapes decoded. Of `user[password]` and `token[]` the names within
//! are compared too. `;` separates for some servers and not for others: what follows it is looked at as a pair of its own,
//! and a value is replaced up to the next `&`.

use std::borrow::Cow;

use super::semconv::REDACTED;

/// Replaces the values of these keys.
pub fn redact<'a>(query: Cow<'a, str>, keys: &[String]) -> Cow<'a, str> {
    let mut shown = String::new();
    let mut is_changed = false;
    for (nth, pair) in query.split('&').enumerate() {
        let value_at = value_to_hide(pair, keys);
        if let Some(at) = value_at {
            if !is_changed {
                is_changed = true;
                shown = query.split('&').take(nth).flat_map(|before| [before, "&"]).collect();
            }
            shown.push_str(pair.get(..at).unwrap_or_default());
            shown.push_str(REDACTED);
        } else if is_changed {
            shown.push_str(pair);
        }
        if is_changed {
            shown.push('&');
        }
    }
    if !is_changed {
        return query;
    }
    shown.pop();
    shown.into()
}

/// Where the value to hide begins.
fn value_to_hide(pair: &str, keys: &[String]) -> Option<usize> {
    let mut start = 0;
    for part in pair.split(';') {
        if let Some(equals) = part.find('=')
            && is_sensitive(part.get(..equals)?, keys)
        {
            return Some(start + equals + 1);
        }
        start += part.len() + 1;
    }
    None
}

fn is_sensitive(name: &str, keys: &[String]) -> bool {
    let decoded = if name.contains('%') { Cow::Owned(decode(name)) } else { Cow::Borrowed(name.as_bytes()) };
    let is_key = |part: &[u8]| keys.iter().any(|key| key.as_bytes().eq_ignore_ascii_case(part));
    if is_key(&decoded) {
        return true;
    }
    let has_brackets = decoded.contains(&b'[');
    has_brackets && decoded.split(|byte| matches!(byte, b'[' | b']')).any(is_key)
}

/// Decodes `%XX`; what is no escape stays as it is.
fn decode(name: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let escape = match (first, tail) {
            (b'%', [high, low, ..]) => digit(high).zip(digit(low)),
            _ => None,
        };
        decoded.push(escape.map_or(*first, |(high, low)| high << 4 | low));
        rest = if escape.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::Settings;

    #[track_caller]
    fn check(query: &str, want: &str) {
        let keys = Settings::default().sensitive_query_keys;
        assert_eq!(redact(query.into(), &keys), want, "{query}");
    }

    #[test]
    fn values_of_sensitive_keys_are_replaced() {
        for (query, want) in [
            ("", ""),
            ("a=1&b", "a=1&b"),
            ("a=1&Signature=x&b", "a=1&Signature=REDACTED&b"),
            (
                "X-Amz-Signature=x=y&X-Amz-Credential=&X-Goog-Signature=1",
                "X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&X-Goog-Signature=REDACTED",
            ),
            ("%73ig=x", "%73ig=REDACTED"),
            ("%73ig%=x&s%49g=y", "%73ig%=x&s%49g=REDACTED"),
            ("SIG=x&sigh=y&sig", "SIG=REDACTED&sigh=y&sig"),
            (
                "access_token=a&ID_TOKEN=b&Password=c&code=d&apikey=e",
                "access_token=REDACTED&ID_TOKEN=REDACTED&Password=REDACTED&code=REDACTED&apikey=REDACTED",
            ),
            (
                "user[password]=a&token[]=b&user%5Bpwd%5D=c&x[y]=d",
                "user[password]=REDACTED&token[]=REDACTED&user%5Bpwd%5D=REDACTED&x[y]=d",
            ),
            ("a=1;token=x;y&b=2", "a=1;token=REDACTED&b=2"),
            ("token=x;y&&", "token=REDACTED&&"),
            ("&token=x", "&token=REDACTED"),
            ("=x&token", "=x&token"),
        ] {
            check(query, want);
        }
    }

    #[test]
    fn no_keys_no_redaction() {
        assert_eq!(redact("token=x".into(), &[]), "token=x");
    }
}
