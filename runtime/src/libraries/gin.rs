//! `github.com/gin-gonic/gin`: the full path of the route that an engine has found.

use analyzer::{Plan, plan};
use runtime_ebpf::{
    abi::{MAX_OFFSET, NO_OFFSET},
    gin::File,
    libraries::GIN,
};

use super::{
    library::ConfigError,
    router::Router,
    values::{bytes_of, offset, role},
};

/// The library.
pub const LIBRARY: Router = Router {
    kernel: GIN,
    programs: &[("route", "gin_route")],
    file_map: Some("GIN_FILES"),
    config,
    waits_until_missed: false,
};

const ID: &str = GIN.id;
const CONTEXT: &str = "github.com/gin-gonic/gin.Context";
const FULL_PATH: &str = "fullPath";
/// What the catalog calls the site behind the look-up.
const LOOKUP: &str = "lookup";

fn config(library: &plan::Library, _: &Plan) -> Result<Vec<u8>, ConfigError> {
    let route = role(library, "route").ok_or(ConfigError::NoSite { library: ID, role: "route" })?;
    let limit = u64::from(MAX_OFFSET);
    let full_path = offset(library, CONTEXT, FULL_PATH, limit);
    if full_path == NO_OFFSET {
        let planned = library.fields.iter().find(|f| f.type_name == CONTEXT && f.field == FULL_PATH);
        let offset = planned.and_then(|f| f.offset);
        return Err(ConfigError::Offset { library: ID, type_name: CONTEXT, field: FULL_PATH, offset, limit });
    }
    let by_lookup = u8::from(route.site.as_deref() == Some(LOOKUP));
    let file = File { full_path, by_lookup, reserved: [0; 5] };
    // SAFETY: a File is repr(C), integers without padding.
    Ok(unsafe { bytes_of(&file) })
}
