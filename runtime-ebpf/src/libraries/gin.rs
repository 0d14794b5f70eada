//! `github.com/gin-gonic/gin`: what its program needs to know of a file, and what it counts.

/// What the program needs to know of one file. Value of `GIN_FILES`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// `gin.Context.fullPath`.
    pub full_path: u16,
    /// `gin.Context.Request`.
    pub request: u16,
    /// `http.Request.RequestURI`.
    pub request_uri: u16,
    /// 1: the site is behind a look-up, with its result in registers; 0: it is a call with the context for its argument.
    pub by_lookup: u8,
    /// Zero.
    pub reserved: u8,
}

pub mod counters {
    //! What the program of `github.com/gin-gonic/gin` counts.

    crate::route_counters! { "gin" }
}
