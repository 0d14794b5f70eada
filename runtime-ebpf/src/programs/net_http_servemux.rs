//! `net/http.servemux`: one hit for each request that a ServeMux is asked for, behind its look-up.

use aya_ebpf::{macros::uprobe, programs::ProbeContext};
use runtime_ebpf::{http_server::records::ROUTE_IF_NONE, libraries::NET_HTTP_SERVEMUX};

use super::http_server::route;
use crate::{enter::enter, read::GoString, registers::GoRegisters};

/// Behind `(*ServeMux).findHandler`, with its results (h Handler, pattern string, …).
#[uprobe]
pub fn net_http_servemux_route(ctx: ProbeContext) -> u32 {
    let Some(hit) = enter(&ctx).map(|hit| hit.of(NET_HTTP_SERVEMUX)) else { return 0 };
    if hit.never_samples() {
        return 0;
    }
    if let Some(flight) = route::request(&hit, None) {
        let pattern = GoString { address: ctx.argument::<2>(), len: ctx.argument::<3>() };
        route::send(&hit, flight, pattern, ROUTE_IF_NONE);
    }
    0
}
