//! `github.com/gorilla/mux`: the template of the route that a router has found.

use analyzer::{
    Plan,
    plan::{self, When},
};
use runtime_ebpf::{
    abi::{CHECK_NONE, MAX_OFFSET},
    gorilla_mux::File,
    libraries::GORILLA_MUX,
};

use super::{
    library::ConfigError,
    router::{REQUEST_URI, Router},
    values::{bytes_of, needed, role, stack_check},
};

/// The library.
pub const LIBRARY: Router = Router {
    kernel: GORILLA_MUX,
    programs: &[("route", "gorilla_mux_route")],
    file_map: Some("GORILLA_MUX_FILES"),
    config,
    waits_until_missed: false,
};

const ID: &str = GORILLA_MUX.id;
/// From a Route to the pointer to its path's `routeRegexp`: structs within one another.
const TO_PATH: [(&str, &str); 3] = [
    ("github.com/gorilla/mux.Route", "routeConf"),
    ("github.com/gorilla/mux.routeConf", "regexp"),
    ("github.com/gorilla/mux.routeRegexpGroup", "path"),
];
const TEMPLATE: (&str, &str) = ("github.com/gorilla/mux.routeRegexp", "template");

fn config(library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
    let site = role(library, "route").and_then(|role| role.sites.first());
    let site = site.ok_or(ConfigError::NoSite { library: ID, role: "route" })?;
    // Three of them are added up.
    let known = |field| needed(library, ID, field, u64::from(MAX_OFFSET) / 4);
    let mut route_path = 0;
    for field in TO_PATH {
        route_path += known(field)?;
    }
    let check = if site.when == When::Entry { stack_check(plan.arch, &site.bytes) } else { CHECK_NONE };
    let (template, request_uri) = (known(TEMPLATE)?, known(REQUEST_URI)?);
    let file = File { route_path, template, request_uri, check, reserved: 0 };
    // SAFETY: a File is repr(C), integers without padding.
    Ok(unsafe { bytes_of(&file) })
}
