//! Why a request failed, as far as it can be known, and what to do about it.
//!
//! What a client library says ("invalid HTTP version parsed") is true and helps nobody. [`Cause::of`] reads the types of an
//! error's sources, never their prose; where those only say that no HTTP came back, [`super::probe`] asks the port what it
//! speaks.

use std::io::ErrorKind;

use rustls::{AlertDescription, CertificateError};

/// Why the collector did not take a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The host's name has no address.
    Name,
    /// Nobody listens.
    Refused,
    /// No route, or a network that is down.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The connection was closed without an answer.
    Closed,
    /// The port speaks HTTP/2 and nothing else: a gRPC port.
    Http2,
    /// What answered speaks gRPC.
    Grpc,
    /// The port expects TLS, the endpoint says `http://`.
    Tls,
    /// The port does not speak TLS, the endpoint says `https://`.
    NotTls,
    /// The collector's certificate is for another name.
    CertificateName,
    /// The collector's certificate has expired, or is not valid yet.
    CertificateTime,
    /// The collector's certificate is not trusted for another reason.
    Certificate,
    /// The collector wants a client's certificate, or another one.
    ClientCertificate,
    /// An HTTP status that is not a success.
    Status(u16),
    /// Anything else.
    Other,
}

impl Cause {
    /// What the error's types say. [`Cause::Closed`] and [`Cause::Other`] may be known better by asking the port.
    pub fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        let mut source = std::error::Error::source(error);
        let mut found = Self::Other;
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<std::io::Error>() {
                found = Self::of_io(error);
            } else if let Some(error) = error.downcast_ref::<rustls::Error>() {
                found = Self::of_tls(error);
            }
            source = error.source();
        }
        found
    }

    /// The same of an error of the system, or of what it wraps: the sources of an `io::Error` begin behind that.
    pub fn of_io(error: &std::io::Error) -> Self {
        if let Some(wrapped) = error.get_ref() {
            if let Some(error) = wrapped.downcast_ref::<std::io::Error>() {
                return Self::of_io(error);
            }
            if let Some(error) = wrapped.downcast_ref::<rustls::Error>() {
                return Self::of_tls(error);
            }
        }
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                Self::Unreachable
            }
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Other,
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::InvalidCertificate(why) => match why {
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    Self::CertificateName
                }
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::CertificateTime,
                _ => Self::Certificate,
            },
            rustls::Error::AlertReceived(
                AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied,
            ) => Self::ClientCertificate,
            _ => Self::Other,
        }
    }

    /// Whether something answered in HTTP: then the collector, or what stands in its place, is there.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Status(_) | Self::Grpc)
    }

    /// What it probably is and what to set; `variable` holds the endpoint. Empty where nothing is known.
    pub fn advice(self, variable: &str) -> String {
        let port = "the collector's OTLP/HTTP port (usually 4318)";
        match self {
            Self::Name => format!("its name cannot be resolved: check {variable}"),
            Self::Refused => format!("nobody listens there: start the collector, or point {variable} to {port}"),
            Self::Unreachable => format!("its network cannot be reached: check {variable} and the routes"),
            Self::TimedOut => format!("it did not answer in time: check {variable}, firewalls, and OTEL_EXPORTER_OTLP_TIMEOUT"),
            Self::Closed => format!("it closed the connection without an answer: {variable} has to name {port}"),
            Self::Http2 | Self::Grpc => format!(
                "this is probably a gRPC port (usually 4317), and strobe sends OTLP over HTTP: point {variable} to {port}"
            ),
            Self::Tls => format!("this port expects TLS: begin {variable} with https://"),
            Self::NotTls => format!("this port does not speak TLS: begin {variable} with http://"),
            Self::CertificateName => {
                format!("its certificate is for another name: use that name in {variable}")
            }
            Self::CertificateTime => "its certificate has expired or is not valid yet: renew it, and check both clocks".to_owned(),
            Self::Certificate => "its certificate is not trusted: set OTEL_EXPORTER_OTLP_CERTIFICATE to the PEM file of the authority that signed it".to_owned(),
            Self::ClientCertificate => "it wants a client's certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY".to_owned(),
            Self::Status(status) => status_advice(status, variable),
            Self::Other => String::new(),
        }
    }
}

fn status_advice(status: u16, variable: &str) -> String {
    let known = match status {
        300..=399 => {
            "it redirects, which is not followed since credentials would go along: set {} to the address it redirects to"
        }
        400 => "it could not read the request: {} may name a port that is not for OTLP over HTTP",
        401 | 403 => {
            "it wants credentials, or others: set OTEL_EXPORTER_OTLP_HEADERS, as in authorization=Bearer%20TOKEN"
        }
        404 | 405 => {
            "it has no OTLP receiver at that path: OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/traces appended, \
             OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is used as it is; now {} counts"
        }
        407 => "a proxy wants credentials: check HTTP_PROXY, HTTPS_PROXY and NO_PROXY",
        413 => "it finds a single span too large",
        415 => "it does not take http/protobuf: {} may name a port that is not for OTLP over HTTP",
        _ => "",
    };
    known.replace("{}", variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_known_by_their_types_however_deep() {
        let untrusted = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let wrapped = std::io::Error::other(std::io::Error::new(ErrorKind::InvalidData, untrusted));
        assert_eq!(Cause::of_io(&wrapped), Cause::Certificate);
        assert_eq!(Cause::of_io(&ErrorKind::ConnectionReset.into()), Cause::Closed);
        assert_eq!(Cause::of_io(&std::io::Error::other("connection refused")), Cause::Other);
    }

    #[test]
    fn every_cause_that_somebody_can_mend_says_how() {
        let causes = [
            Cause::Name,
            Cause::Refused,
            Cause::Unreachable,
            Cause::TimedOut,
            Cause::Closed,
            Cause::Http2,
            Cause::Tls,
            Cause::NotTls,
            Cause::CertificateName,
            Cause::Status(404),
            Cause::Status(302),
            Cause::Status(415),
        ];
        for cause in causes {
            assert!(cause.advice("THE_VARIABLE").contains("THE_VARIABLE"), "{cause:?}");
        }
        assert!(Cause::Certificate.advice("V").contains("OTEL_EXPORTER_OTLP_CERTIFICATE"));
        assert!(Cause::Status(401).advice("V").contains("OTEL_EXPORTER_OTLP_HEADERS"));
        assert_eq!(Cause::Other.advice("V"), "");
    }
}
