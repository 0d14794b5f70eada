//! `github.com/gin-gonic/gin`: one hit for each request that has a route, where the engine calls the first of its handlers; or, where
//! that call was inlined, one behind each look-up.

use aya_ebpf::{
    macros::{map, uprobe},
    maps::Array,
    programs::ProbeContext,
};
use runtime_ebpf::{abi::MAX_FILES, gin::File, http_server::records::ROUTE_UNLESS_405, libraries::GIN};

use super::http_server::route::{self, Asked};
use crate::{
    enter::{Hit, enter},
    read::{GoString, known, read},
    registers::GoRegisters,
    texts::string_in,
    whole_key::WholeKey as _,
};

#[map]
static GIN_FILES: Array<File> = Array::with_max_entries(MAX_FILES, 0);

/// The call of `(*Context).Next`, with the context; or behind `(*node).getValue`, with its result
/// `nodeValue{handlers []HandlerFunc, params *Params, tsr bool, fullPath string}` in registers.
#[uprobe]
pub fn gin_route(ctx: ProbeContext) -> u32 {
    let Some(hit) = enter(&ctx).map(|hit| hit.of(GIN)) else { return 0 };
    let Some(file) = GIN_FILES.get_at(hit.file()) else { return 0 };
    if !hit.never_samples() {
        found(&ctx, &hit, file);
    }
    0
}

#[inline(always)]
fn found(ctx: &ProbeContext, hit: &Hit, file: &File) {
    let has_none = file.by_lookup != 0 && ctx.argument::<0>() == 0;
    if has_none {
        return;
    }
    if file.by_lookup != 0 {
        let Some(flight) = route::request(hit, None) else { return };
        let path = GoString { address: ctx.argument::<5>(), len: ctx.argument::<6>() };
        return route::send(hit, flight, path, ROUTE_UNLESS_405);
    }
    let context = ctx.argument::<0>();
    let request = known(context, file.request).and_then(read::<u64>);
    let asked = request.map(|request| Asked { request, uri: file.request_uri });
    let Some(flight) = route::request(hit, asked) else { return };
    route::send(hit, flight, string_in(context, file.full_path), 0);
}
