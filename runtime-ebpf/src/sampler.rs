//! The sampler, decided in the kernel at the start of each span (semconv.md §4.4).

/// What to do with a span, as the specification's `OTEL_TRACES_SAMPLER` names it.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    /// [`ROOT_ON`], [`ROOT_OFF`] or [`ROOT_RATIO`]: what decides without a parent.
    pub root: u32,
    /// 1: a valid parent's sampled flag decides (`parentbased_*`); 0: `root` decides always.
    pub parent_based: u32,
    /// For [`ROOT_RATIO`]: sampled if the last 8 bytes of the trace id, big endian, shifted right by one, are below it:
    /// `ratio * 2^63`.
    pub bound: u64,
}

/// Every span.
pub const ROOT_ON: u32 = 0;
/// No span.
pub const ROOT_OFF: u32 = 1;
/// By trace id.
pub const ROOT_RATIO: u32 = 2;

impl Sampler {
    /// Whether no span can be sampled, whatever a parent says (`parents`: whether one is looked for at all).
    #[inline(always)]
    pub fn never(&self, parents: bool) -> bool {
        self.root == ROOT_OFF && (self.parent_based == 0 || !parents)
    }

    /// Decides. `parent_sampled` is the parent's flag if there is a valid parent, `id_low` bytes 8..16 of the trace id as a
    /// big-endian number.
    #[inline(always)]
    pub fn samples(&self, parent_sampled: Option<bool>, id_low: u64) -> bool {
        if self.parent_based != 0
            && let Some(sampled) = parent_sampled
        {
            return sampled;
        }
        match self.root {
            ROOT_ON => true,
            ROOT_RATIO => (id_low >> 1) < self.bound,
            _ => false,
        }
    }
}
