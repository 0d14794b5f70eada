//! `github.com/gorilla/mux`: the template of the route that a router has found.

use analyzer::{
    Plan,
    plan::{self, When},
};
use runtime_ebpf::{
    abi::{CHECK_NONE, MAX_OFFSET, NO_OFFSET},
    gorilla_mux::File,
    libraries::GORILLA_MUX,
};

use super::{
    library::ConfigError,
    router::Router,
    values::{bytes_of, offset, role, stack_check},
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
    let mut route_path = 0;
    for field in TO_PATH {
        route_path += known(library, field)?;
    }
    let check = if site.when == When::Entry { stack_check(plan.arch, &site.bytes) } else { CHECK_NONE };
    let file = File { route_path, template: known(library, TEMPLATE)?, check, reserved: [0; 3] };
    // SAFETY: a File is repr(C), integers without padding.
    Ok(unsafe { bytes_of(&file) })
}

fn known(
    library: &plan::Library,
    (type_name, field): (&'static str, &'static str),
) -> Result<u16, ConfigError> {
    // Three of them are added up.
    let limit = u64::from(MAX_OFFSET) / 4;
    match offset(library, type_name, field, limit) {
        NO_OFFSET => {
            let planned = library.fields.iter().find(|f| f.type_name == type_name && f.field == field);
            let offset = planned.and_then(|f| f.offset);
            Err(ConfigError::Offset { library: ID, type_name, field, offset, limit })
        }
        known => Ok(known),
    }
}
