//! The HTTP client of the exporter: headers, proxies, TLS. Redirects are not followed, headers with credentials would go along.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Url, redirect};

use super::error::StartError;
use crate::causes::chain;
use crate::config::Otlp;
use crate::resource::{AGENT_NAME, AGENT_VERSION};

/// The variables that a proxy may be named by.
const PROXIES: &[&str] =
    &["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Makes the client, which keeps up to `connections` connections.
pub(super) fn client(otlp: &Otlp, connections: usize) -> Result<Client, StartError> {
    let mut headers: HeaderMap = otlp.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    let mut builder = Client::builder()
        .default_headers(headers)
        .user_agent(format!("{AGENT_NAME}/{AGENT_VERSION}"))
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .pool_max_idle_per_host(connections);
    if is_local(&otlp.endpoint) {
        // HTTP_PROXY is about the network; a collector on this machine is not there.
        builder = builder.no_proxy();
    }
    tls(builder, otlp)?.build().map_err(|error| StartError::Client(chain(&error)))
}

/// Whether a request goes to the endpoint itself, not to a proxy.
pub(super) fn is_direct(endpoint: &Url) -> bool {
    let named = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_local(endpoint) || !PROXIES.iter().any(named)
}

fn is_local(endpoint: &Url) -> bool {
    let host = endpoint.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn tls(mut builder: ClientBuilder, otlp: &Otlp) -> Result<ClientBuilder, StartError> {
    // Ours is the only one; an Err means that it is there already.
    drop(rustls::crypto::ring::default_provider().install_default());
    if let Some(path) = &otlp.certificate {
        const VARIABLE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
        let pem = read_pem(VARIABLE, path)?;
        let certificates =
            Certificate::from_pem_bundle(&pem).map_err(|error| unusable(VARIABLE, path, &error))?;
        builder = builder.tls_certs_only(certificates);
    } else if otlp.endpoint.scheme() == "http" {
        // The system's certificates take 2 MB of memory, and nobody is going to ask for them.
        builder = builder.tls_certs_only([]);
    }
    match (&otlp.client_certificate, &otlp.client_key) {
        (Some(certificate), Some(key)) => {
            const VARIABLE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
            let mut pem = read_pem(VARIABLE, certificate)?;
            pem.push(b'\n');
            pem.extend(read_pem("OTEL_EXPORTER_OTLP_CLIENT_KEY", key)?);
            let identity = Identity::from_pem(&pem).map_err(|error| unusable(VARIABLE, certificate, &error))?;
            Ok(builder.identity(identity))
        }
        (None, None) => Ok(builder),
        _ => Err(StartError::Client(
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY need each other: set both".to_owned(),
        )),
    }
}

fn read_pem(variable: &'static str, path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|error| unusable(variable, path, &error))
}

fn unusable(variable: &'static str, path: &Path, error: &dyn std::error::Error) -> StartError {
    StartError::Pem { variable, path: path.to_owned(), why: chain(error) }
}
