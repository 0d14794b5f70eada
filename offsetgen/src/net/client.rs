//! HTTP with bounds: time without progress, size, number of tries. The retry policy is here, separate from what is asked.
//!
//! | answer | meaning |
//! |---|---|
//! | 403, 404, 410 | does not exist (a mirror may answer 403 for a version that it does not have): never tried again |
//! | 429, 5xx, no connection, time-out, cut body | may pass: tried again, with growing pauses |
//! | any other | an error, at once |

use std::io::{self, Read, Write};
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result};
use backon::{BlockingRetryable, ExponentialBuilder};
use reqwest::StatusCode;
use reqwest::blocking::Response;

/// Tries after the first.
const RETRIES: usize = 3;
/// Pause before the second try; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause that a proxy may ask for.
const PATIENCE: Duration = Duration::from_secs(120);
/// A connection that is not there by then will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The proxy says that there is no such thing.
    #[error("{url}: does not exist (HTTP {status})")]
    NotFound {
        /// What was asked.
        url: String,
        /// 403, 404 or 410.
        status: u16,
    },
    /// The proxy answered with another failure.
    #[error("{url}: HTTP {status}")]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// When to ask again, if the proxy said so (`Retry-After`).
        again: Option<Duration>,
    },
    /// There was no answer, or it broke off.
    #[error("{url}: {reason}")]
    Transport {
        /// What was asked.
        url: String,
        /// Innermost cause last.
        reason: String,
    },
    /// The answer is larger than what can be right.
    #[error("{url}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// What was asked.
        url: String,
        /// The bound.
        limit: u64,
    },
    /// The answer could not be kept.
    #[error("cannot keep the answer of {url}: {source}")]
    Write {
        /// What was asked.
        url: String,
        /// The failure (a full disk, say).
        source: io::Error,
    },
}

impl FetchError {
    /// Whether trying again may help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// Whether the proxy was reached and has no such thing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// An HTTP client with this module's bounds.
pub struct Client {
    http: reqwest::blocking::Client,
}

impl Client {
    /// `timeout` bounds each wait for the next bytes, not the whole transfer.
    pub fn new(timeout: Duration) -> Result<Self> {
        static PROVIDER: Once = Once::new();
        // An error means that one is installed already, which is as good.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let http = reqwest::blocking::Client::builder()
            .user_agent(concat!("strobe-offsetgen/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout)
            .build()
            .context("cannot set up the HTTP client")?;
        Ok(Self { http })
    }

    /// A small text.
    pub fn text(&self, url: &str, limit: u64) -> Result<String, FetchError> {
        let bytes = retry(|| {
            let mut bytes = Vec::new();
            self.transfer(url, limit, &mut bytes, &mut |_, _| {})?;
            Ok(bytes)
        })?;
        String::from_utf8(bytes).map_err(|_| FetchError::Transport {
            url: url.to_owned(),
            reason: "the answer is not text".to_owned(),
        })
    }

    /// A large body into `make()`, which is asked for an empty sink at each try. `progress` hears (done, total).
    pub fn download<W: Write>(
        &self,
        url: &str,
        limit: u64,
        mut make: impl FnMut() -> io::Result<W>,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), FetchError> {
        retry(|| {
            let mut sink = make().map_err(|source| FetchError::Write { url: url.to_owned(), source })?;
            self.transfer(url, limit, &mut sink, progress)
        })
    }

    fn transfer(
        &self,
        url: &str,
        limit: u64,
        sink: &mut dyn Write,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), FetchError> {
        let mut response = self.open(url)?;
        let total = response.content_length();
        if total.is_some_and(|total| total > limit) {
            return Err(FetchError::TooLarge { url: url.to_owned(), limit });
        }
        let (mut buffer, mut done) = (vec![0; 1 << 16], 0_u64);
        loop {
            let count = match response.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(FetchError::Transport { url: url.to_owned(), reason: causes(&error) });
                }
            };
            done = done.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            if done > limit {
                return Err(FetchError::TooLarge { url: url.to_owned(), limit });
            }
            let chunk = buffer.get(..count).unwrap_or_default();
            sink.write_all(chunk).map_err(|source| FetchError::Write { url: url.to_owned(), source })?;
            progress(done, total);
        }
    }

    fn open(&self, url: &str) -> Result<Response, FetchError> {
        let sent = self.http.get(url).send();
        let response = sent.map_err(|error| FetchError::Transport {
            url: url.to_owned(),
            reason: causes(&error.without_url()),
        })?;
        let (url, status) = (url.to_owned(), response.status());
        match status {
            StatusCode::OK => Ok(response),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => {
                Err(FetchError::NotFound { url, status: status.as_u16() })
            }
            _ => Err(FetchError::Status { url, status: status.as_u16(), again: retry_after(&response) }),
        }
    }
}

/// Tries again what may pass.
fn retry<T>(attempt: impl FnMut() -> Result<T, FetchError>) -> Result<T, FetchError> {
    let policy =
        ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_times(RETRIES).with_jitter();
    // The policy's own pause follows; only what the proxy wants beyond that is waited for here.
    let notify = |error: &FetchError, pause: Duration| {
        if let FetchError::Status { again: Some(again), .. } = error {
            std::thread::sleep(again.saturating_sub(pause));
        }
    };
    attempt.retry(policy).sleep(std::thread::sleep).when(FetchError::may_pass).notify(notify).call()
}

/// `Retry-After` in seconds; the form with a date, and anything beyond [`PATIENCE`], is cut to that.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(reqwest::header::RETRY_AFTER)?.to_str().ok()?;
    Some(value.trim().parse().map_or(PATIENCE, Duration::from_secs).min(PATIENCE))
}

/// An error with its causes: libraries tend to say the useful part last.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
