//! Which server a channel's target names (google.golang.org/grpc/doc/naming.md).
//!
//! | target | server.address | server.port |
//! |---|---|---|
//! | `host:50051`, `dns:host:50051`, `dns://8.8.8.8/host:50051` | `host` | 50051 |
//! | `passthrough:///host:50051`, `xds:///host:50051` | `host` | 50051 |
//! | `ipv4:10.0.0.1:80`, `ipv6:[::1]:80` | the address | 80 |
//! | `unix:/run/a.sock`, `unix:///run/a.sock`, `unix-abstract:a` | the path, the name | none |
//! | several addresses, another scheme | the whole target | none |

use crate::spans::authority::host_port;

/// Schemes whose endpoint is a host, with a port or not.
const HOSTS: [&str; 5] = ["dns", "passthrough", "xds", "ipv4", "ipv6"];
/// Schemes whose endpoint is a path or a name.
const SOCKETS: [&str; 2] = ["unix", "unix-abstract"];

/// Address and port.
pub fn server(target: &str) -> (&str, Option<u16>) {
    let Some((scheme, rest)) = target.split_once(':') else { return host(target, target) };
    if let Some(behind) = rest.strip_prefix("//") {
        // Behind the authority, which says who is asked for the name. A unix path keeps its slash.
        let at = behind.find('/').unwrap_or(behind.len());
        let endpoint = behind.get(at..).unwrap_or_default();
        return match scheme {
            _ if SOCKETS.contains(&scheme) && scheme == "unix" => (endpoint, None),
            _ if SOCKETS.contains(&scheme) => (endpoint.trim_start_matches('/'), None),
            _ if HOSTS.contains(&scheme) => host(endpoint.trim_start_matches('/'), target),
            _ => (target, None),
        };
    }
    if SOCKETS.contains(&scheme) {
        return (rest, None);
    }
    if HOSTS.contains(&scheme) && rest.parse::<u16>().is_err() {
        return host(rest.trim_start_matches('/'), target);
    }
    host(target, target)
}

/// A host with a port or without one; the whole target where it is not one of both.
fn host<'a>(endpoint: &'a str, target: &'a str) -> (&'a str, Option<u16>) {
    if endpoint.is_empty() || endpoint.contains([',', '/', '?', '#', '@', ' ']) {
        return (target, None);
    }
    let (host, port) = host_port(endpoint);
    if host.is_empty() { (target, None) } else { (host, port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_name_their_server() {
        for (target, address, port) in [
            ("localhost:50051", "localhost", Some(50051)),
            ("localhost", "localhost", None),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]:80", "::1", Some(80)),
            ("dns:grpc.io:50051", "grpc.io", Some(50051)),
            ("dns:///grpc.io", "grpc.io", None),
            ("dns://8.8.8.8/grpc.io:50051", "grpc.io", Some(50051)),
            ("passthrough:///bufnet", "bufnet", None),
            ("xds:///svc:8080", "svc", Some(8080)),
            ("ipv4:10.0.0.1:80", "10.0.0.1", Some(80)),
            ("ipv6:[2001:db8::1]:80", "2001:db8::1", Some(80)),
            ("ipv4:10.0.0.1:80,10.0.0.2:80", "ipv4:10.0.0.1:80,10.0.0.2:80", None),
            ("unix:/run/a.sock", "/run/a.sock", None),
            ("unix:a.sock", "a.sock", None),
            ("unix:///run/a.sock", "/run/a.sock", None),
            ("unix-abstract:a", "a", None),
            ("unix-abstract:///a", "a", None),
            ("etcd://ns/svc", "etcd://ns/svc", None),
            ("dns:8080", "dns", Some(8080)),
            ("", "", None),
            ("dns:///", "dns:///", None),
        ] {
            assert_eq!(server(target), (address, port), "{target}");
        }
    }
}
