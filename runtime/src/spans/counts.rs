//! What building spans left out.

/// What building spans left out. Nothing is lost in silence: the caller logs and exports these.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Spans built.
    pub built: u64,
    /// Routes that did not fit their slot, and were left out.
    pub routes_cut: u64,
    /// Other strings that did not fit their slot, and were kept in part.
    pub texts_cut: u64,
    /// Strings that were not UTF-8, and were repaired.
    pub texts_repaired: u64,
    /// `tracestate` headers that are not of the standard's form, and were left out.
    pub trace_states_void: u64,
}
