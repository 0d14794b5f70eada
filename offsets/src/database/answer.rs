//! What the database answers, and how good it is.

/// What the database knows of one field in one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// That very version was built, and the field lies there.
    Exact {
        /// Bytes from the start of the struct.
        offset: u64,
        /// The field's Go type with full import paths.
        kind: &'a str,
    },
    /// The version was not built, but its tested neighbours on both sides agree in offset and kind.
    Between {
        /// Bytes from the start of the struct.
        offset: u64,
        /// The field's Go type with full import paths.
        kind: &'a str,
        /// The tested version below it.
        below: &'a str,
        /// The tested version above it.
        above: &'a str,
    },
    /// The version, or both of its neighbours, were built and have no such field (or no such struct).
    Absent(Basis<'a>),
    /// The version lies between two tested ones that disagree: it may have either's layout, or a third.
    Differs {
        /// The tested version below it.
        below: &'a str,
        /// The tested version above it.
        above: &'a str,
    },
    /// The version is older or newer than all that was tested, or was built with experiments.
    Outside,
    /// Never recorded: no such module, architecture, struct or field, or the text is no version.
    Unknown,
}

/// What an absence rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis<'a> {
    /// That very version was built.
    Exact,
    /// Its neighbours were.
    Between {
        /// The tested version below it.
        below: &'a str,
        /// The tested version above it.
        above: &'a str,
    },
}

/// Where a version stands among the tested ones of its module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionMatch {
    /// It was built itself.
    Exact,
    /// It lies between two that were, or is a vendor's build of one that was.
    Between,
    /// It is older or newer than all, or was built with experiments.
    Outside,
    /// The text is no version, or the module was never recorded.
    Unknown,
}

impl<'a> Lookup<'a> {
    /// The offset where the version itself, or both its neighbours, vouch for it.
    pub fn offset(&self) -> Option<u64> {
        match *self {
            Lookup::Exact { offset, .. } | Lookup::Between { offset, .. } => Some(offset),
            _ => None,
        }
    }

    /// The kind that goes with [`Lookup::offset`].
    pub fn kind(&self) -> Option<&'a str> {
        match *self {
            Lookup::Exact { kind, .. } | Lookup::Between { kind, .. } => Some(kind),
            _ => None,
        }
    }

    /// The word that `offsetgen lookup` prints. Neighbours that disagree vouch for nothing: such a version is outside.
    pub fn word(&self) -> &'static str {
        match self {
            Lookup::Exact { .. } => "exact",
            Lookup::Between { .. } => "between",
            Lookup::Absent(_) => "absent",
            Lookup::Differs { .. } | Lookup::Outside => "outside",
            Lookup::Unknown => "unknown",
        }
    }
}
