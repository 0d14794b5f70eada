//! `GOPROXY`: a list of module proxies, and the questions asked of it.
//!
//! Between two proxies a comma means "the next one if this one has no such thing", a bar "the next one whatever the
//! error"; `off` ends the list, and `direct` (version control) is passed over, since a toolchain has no repository to be
//! cloned from.
//!
//! Deliberately not here: any proxy's address. It is the user's, or that of the Go on PATH.

use std::io::{self, Write};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Client, FetchError};

/// A proxy's list of versions is some kilobytes.
const LIST_LIMIT: u64 = 4 << 20;
/// `.info` is a line.
const INFO_LIMIT: u64 = 64 << 10;

/// The list, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxies {
    entries: Vec<Proxy>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Proxy {
    /// Without a trailing slash.
    base: String,
    /// Whether any error leads to the next one, not only "no such thing".
    lenient: bool,
}

/// The value of `GOPROXY`: the environment's, else that of the Go on PATH.
pub fn goproxy() -> Result<String> {
    if let Some(value) = std::env::var("GOPROXY").ok().filter(|value| !value.trim().is_empty()) {
        return Ok(value);
    }
    let output = Command::new("go").args(["env", "GOPROXY"]).env("GOTOOLCHAIN", "local").output();
    let value = output.ok().filter(|output| output.status.success());
    let value = value.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    value.filter(|value| !value.is_empty()).context(
        "GOPROXY is not set and no Go on PATH knows one: set GOPROXY to the address of a Go module proxy",
    )
}

impl Proxies {
    /// Reads the list syntax.
    pub fn parse(text: &str) -> Result<Self> {
        let mut entries = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find([',', '|']).unwrap_or(rest.len());
            let (item, tail) = rest.split_at(end);
            let lenient = tail.starts_with('|');
            rest = tail.get(1..).unwrap_or_default();
            match item.trim() {
                "" | "direct" => {}
                "off" => break,
                item if item.starts_with("https://") || item.starts_with("http://") => {
                    entries.push(Proxy { base: item.trim_end_matches('/').to_owned(), lenient });
                }
                item if !item.contains("://") => {
                    entries.push(Proxy { base: format!("https://{}", item.trim_end_matches('/')), lenient });
                }
                item => bail!("GOPROXY: {item:?} is neither an http nor an https address"),
            }
        }
        if entries.is_empty() {
            bail!("GOPROXY is {text:?}, which names no module proxy: set it to the address of one");
        }
        Ok(Self { entries })
    }

    /// A message without these proxies' addresses: what is recorded must not depend on whom was asked.
    pub fn hide(&self, text: &str) -> String {
        let text =
            self.entries.iter().fold(text.to_owned(), |text, proxy| text.replace(&proxy.base, "PROXY"));
        // The checksum database is one of several, and is named behind `/sumdb/`.
        let mut parts = text.split("/sumdb/");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, rest| text + "/sumdb/" + rest.split_once('/').map_or(rest, |(_, rest)| rest))
    }

    /// A module's `@v/list`: what this mirror knows, which may be part of what exists.
    pub fn list(&self, client: &Client, module: &str) -> Result<Vec<String>, FetchError> {
        let text =
            self.first(|base| client.text(&format!("{base}/{}/@v/list", escape(module)), LIST_LIMIT))?;
        Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// Whether that version exists: its `.info` is there, and is what it should be.
    pub fn exists(&self, client: &Client, module: &str, version: &str) -> Result<bool, FetchError> {
        #[derive(serde::Deserialize)]
        struct Info {
            #[serde(rename = "Version")]
            version: String,
        }
        let path = format!("{}/@v/{}.info", escape(module), escape(version));
        let asked = self.first(|base| {
            let url = format!("{base}/{path}");
            let text = client.text(&url, INFO_LIMIT)?;
            let info: Result<Info, _> = serde_json::from_str(&text);
            match info {
                Ok(info) if info.version == version => Ok(()),
                Ok(info) => Err(garbage(url, format!("answers for version {:?}", info.version))),
                Err(error) => Err(garbage(url, format!("the answer is not a version's info: {error}"))),
            }
        });
        match asked {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A small text of one module: `MODULE/@v/VERSION.mod`, escaped.
    pub fn file(&self, client: &Client, path: &str) -> Result<String, FetchError> {
        self.first(|base| client.text(&format!("{base}/{path}"), LIST_LIMIT))
    }

    /// A module's zip into `make()`.
    pub fn zip<W: Write>(
        &self,
        client: &Client,
        (module, version): (&str, &str),
        limit: u64,
        mut make: impl FnMut() -> io::Result<W>,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), FetchError> {
        let path = format!("{}/@v/{}.zip", escape(module), escape(version));
        self.first(|base| client.download(&format!("{base}/{path}"), limit, &mut make, progress))
    }

    /// The first answer, by the rules of the list.
    fn first<T>(&self, mut ask: impl FnMut(&str) -> Result<T, FetchError>) -> Result<T, FetchError> {
        let mut last = None;
        for proxy in &self.entries {
            match ask(&proxy.base) {
                Ok(answer) => return Ok(answer),
                Err(error) if proxy.lenient || error.is_not_found() => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| garbage("GOPROXY".to_owned(), "names no proxy".to_owned())))
    }
}

fn garbage(url: String, reason: String) -> FetchError {
    FetchError::Transport { url, reason }
}

/// Module paths in URLs: an upper-case letter is an exclamation mark and the lower-case letter.
pub fn escape(path: &str) -> String {
    path.chars().fold(String::new(), |mut text, letter| {
        if letter.is_ascii_uppercase() {
            text.push('!');
        }
        text.push(letter.to_ascii_lowercase());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(text: &str) -> Vec<(String, bool)> {
        let proxies = Proxies::parse(text).expect("a list");
        proxies.entries.into_iter().map(|proxy| (proxy.base, proxy.lenient)).collect()
    }

    #[test]
    fn list_syntax() {
        let pair = |base: &str, lenient| (base.to_owned(), lenient);
        assert_eq!(bases("http://a/,direct"), [pair("http://a", false)]);
        assert_eq!(
            bases("http://a|https://b,off,http://c"),
            [pair("http://a", true), pair("https://b", false)]
        );
        assert_eq!(bases("example.org/proxy"), [pair("https://example.org/proxy", false)]);
        for text in ["off", "direct", "direct,off", "file:///tmp", ""] {
            assert!(Proxies::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn messages_lose_their_addresses() {
        let proxies = Proxies::parse("http://a:1/x,https://b").expect("a list");
        let said = "reading http://a:1/x/sumdb/c.example/lookup/m@v1: 404; https://b/m/@v/list";
        assert_eq!(proxies.hide(said), "reading PROXY/sumdb/lookup/m@v1: 404; PROXY/m/@v/list");
    }

    #[test]
    fn upper_case_is_escaped() {
        assert_eq!(escape("github.com/IBM/sarama"), "github.com/!i!b!m/sarama");
    }

    #[test]
    fn comma_falls_through_on_absence_only() {
        let not_found = || FetchError::NotFound { url: String::new(), status: 404 };
        let refused = || garbage(String::new(), "refused".to_owned());
        let ask = |list: &str, error: &dyn Fn() -> FetchError| {
            let proxies = Proxies::parse(list).expect("a list");
            proxies.first(|base| if base == "http://b" { Ok(()) } else { Err(error()) })
        };
        assert!(ask("http://a,http://b", &not_found).is_ok());
        assert!(ask("http://a,http://b", &refused).is_err());
        assert!(ask("http://a|http://b", &refused).is_ok());
    }
}
