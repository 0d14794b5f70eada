//! `github.com/gorilla/mux`: one hit for each request that has a route, where the router puts it into the request's context.

use aya_ebpf::{
    macros::{map, uprobe},
    maps::Array,
    programs::ProbeContext,
};
use runtime_ebpf::{abi::MAX_FILES, counters::Counter as Core, gorilla_mux::File, libraries::GORILLA_MUX};

use super::http_server::route::{self, Asked};
use crate::{
    count::count as count_core,
    enter::{Hit, enter},
    read::{known, read},
    registers::GoRegisters,
    texts::string_in,
    whole_key::WholeKey as _,
};

#[map]
static GORILLA_MUX_FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);

/// `requestWithRoute(r, route)`, after its stack check.
#[uprobe]
pub fn gorilla_mux_route(ctx: ProbeContext) -> u32 {
    let Some(hit) = enter(&ctx).map(|hit| hit.of(GORILLA_MUX)) else { return 0 };
    let Some(file) = GORILLA_MUX_FILES.get_at(hit.file()) else { return 0 };
    if ctx.restarts(file.check) {
        count_core(Core::Restarted);
        return 0;
    }
    if !hit.never_samples() {
        let asked = Asked { request: ctx.argument::<0>(), uri: file.request_uri };
        found(&hit, file, asked, ctx.argument::<1>());
    }
    0
}

/// There is no route where the router's own handler for what it does not know answers.
#[inline(always)]
fn found(hit: &Hit, file: &File, asked: Asked, route: u64) {
    if route == 0 {
        return;
    }
    let Some(flight) = route::request(hit, Some(asked)) else { return };
    // A route that looks at other things than the path has none, and an empty template.
    let path = known(route, file.route_path).and_then(read::<u64>).unwrap_or(0);
    route::send(hit, flight, string_in(path, file.template), 0);
}
