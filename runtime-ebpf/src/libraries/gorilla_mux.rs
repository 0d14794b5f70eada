//! `github.com/gorilla/mux`: what its program needs to know of a file, and what it counts.

/// What the program needs to know of one file. Value of `GORILLA_MUX_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// From a `mux.Route` to `regexp.path`, which points to its path's `routeRegexp`.
    pub route_path: u16,
    /// `mux.routeRegexp.template`.
    pub template: u16,
    /// `http.Request.RequestURI`.
    pub request_uri: u16,
    /// Which flags mean that the site's stack check fails; see [`crate::abi::CHECK_NONE`].
    pub check: u8,
    /// Zero.
    pub reserved: u8,
}

pub mod counters {
    //! What the program of `github.com/gorilla/mux` counts.

    crate::route_counters! { "gorilla_mux" }
}
