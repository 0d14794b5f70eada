//! `github.com/gin-gonic/gin`: the full path of the route that an engine has found.

use analyzer::{Plan, plan};
use runtime_ebpf::{abi::MAX_OFFSET, gin::File, libraries::GIN};

use super::{
    library::ConfigError,
    router::{REQUEST_URI, Router},
    values::{bytes_of, needed, role},
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
/// What the catalog calls the site behind the look-up.
const LOOKUP: &str = "lookup";

fn config(library: &plan::Library, _: &Plan) -> Result<Vec<u8>, ConfigError> {
    let route = role(library, "route").ok_or(ConfigError::NoSite { library: ID, role: "route" })?;
    let known = |field| needed(library, ID, field, u64::from(MAX_OFFSET));
    let file = File {
        full_path: known((CONTEXT, "fullPath"))?,
        request: known((CONTEXT, "Request"))?,
        request_uri: known(REQUEST_URI)?,
        by_lookup: u8::from(route.site.as_deref() == Some(LOOKUP)),
        reserved: 0,
    };
    // SAFETY: a File is repr(C), integers without padding.
    Ok(unsafe { bytes_of(&file) })
}
