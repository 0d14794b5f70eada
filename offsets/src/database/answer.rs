//! What the database answers, and how good it is.

use serde::{Deserialize, Serialize};

use super::format::{FunctionRun, Inlined, Parameter};

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

/// What the database knows of a struct's size or a function's signature in one version: the same kinds of answer as of a field
/// ([`Lookup`]), around another figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a, T> {
    /// That very version was built.
    Exact(&'a T),
    /// The version was not built, but its tested neighbours on both sides agree.
    Between {
        /// What they agree in.
        what: &'a T,
        /// The tested version below it.
        below: &'a str,
        /// The tested version above it.
        above: &'a str,
    },
    /// The version, or both of its neighbours, were built and have no such struct or function.
    Absent(Basis<'a>),
    /// The version lies between two tested ones that disagree.
    Differs {
        /// The tested version below it.
        below: &'a str,
        /// The tested version above it.
        above: &'a str,
    },
    /// The version is older or newer than all that was tested, or was built with experiments.
    Outside,
    /// Never recorded: no such module, architecture, struct or function, or the text is no version.
    Unknown,
}

impl<'a, T> Answer<'a, T> {
    /// The same answer around what a figure leads to.
    pub(super) fn map<U>(self, to: impl Fn(&'a T) -> &'a U) -> Answer<'a, U> {
        match self {
            Answer::Exact(what) => Answer::Exact(to(what)),
            Answer::Between { what, below, above } => Answer::Between { what: to(what), below, above },
            Answer::Absent(basis) => Answer::Absent(basis),
            Answer::Differs { below, above } => Answer::Differs { below, above },
            Answer::Outside => Answer::Outside,
            Answer::Unknown => Answer::Unknown,
        }
    }

    /// The figure where the version itself, or both its neighbours, vouch for it.
    pub fn known(&self) -> Option<&'a T> {
        match self {
            Answer::Exact(what) | Answer::Between { what, .. } => Some(what),
            _ => None,
        }
    }

    /// The word that `offsetgen lookup` prints, as [`Lookup::word`].
    pub fn word(&self) -> &'static str {
        match self {
            Answer::Exact(_) => "exact",
            Answer::Between { .. } => "between",
            Answer::Absent(_) => "absent",
            Answer::Differs { .. } | Answer::Outside => "outside",
            Answer::Unknown => "unknown",
        }
    }

    /// The tested neighbours that the answer rests on.
    pub fn neighbours(&self) -> Option<(&'a str, &'a str)> {
        match *self {
            Answer::Between { below, above, .. }
            | Answer::Differs { below, above }
            | Answer::Absent(Basis::Between { below, above }) => Some((below, above)),
            _ => None,
        }
    }
}

/// How a function is called. Versions agree in it when types and places are the same: a parameter's name and whether calls
/// were inlined (the probe target's affair) are told, and not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Whether calls were inlined in the program that was built.
    pub inlined: Inlined,
    /// The receiver first.
    pub params: Vec<Parameter>,
    /// In order.
    pub results: Vec<Parameter>,
}

impl Signature {
    /// Whether a caller of one can call the other.
    pub(super) fn is_called_as(&self, other: &Self) -> bool {
        let alike = |a: &[Parameter], b: &[Parameter]| {
            a.iter().map(|p| (&p.r#type, &p.at)).eq(b.iter().map(|p| (&p.r#type, &p.at)))
        };
        alike(&self.params, &other.params) && alike(&self.results, &other.results)
    }
}

impl From<&FunctionRun> for Signature {
    fn from(run: &FunctionRun) -> Self {
        Self { inlined: run.inlined, params: run.params.clone(), results: run.results.clone() }
    }
}
