//! The service's sources, for builds with more than the standard library: those compile them anew with a file of their own beside them.

macro_rules! sources {
    ($($name:literal)+) => { &[$(($name, include_str!(concat!("../../apps/httpserver/", $name)))),+] };
}

const SERVICE: &[(&str, &str)] = sources!(
    "controller_go120.go" "controller_old.go" "get.go" "h2_go124.go" "h2_old.go" "handlers.go" "main.go" "raw.go" "routes_go122.go"
    "routes_old.go" "service.go" "tls.go" "tunnel.go"
);

/// All of them and this one, as one package.
pub fn with(more: (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
    [SERVICE, &[more]].concat()
}
