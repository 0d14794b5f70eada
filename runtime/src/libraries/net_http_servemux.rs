//! `net/http.servemux`: the pattern that a ServeMux has found, where the request that the server knows does not have it.

use runtime_ebpf::libraries::NET_HTTP_SERVEMUX;

use super::router::Router;

/// The library. Most services need it never, and it costs every request a hit: so it waits until it is missed.
pub const LIBRARY: Router = Router {
    kernel: NET_HTTP_SERVEMUX,
    programs: &[("route", "net_http_servemux_route")],
    file_map: None,
    config: |_, _| Ok(Vec::new()),
    waits_until_missed: true,
};
