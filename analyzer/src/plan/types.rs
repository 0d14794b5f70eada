//! What a Plan says of types beside their fields: sizes, addresses of descriptors, and what concrete types hold.

use serde::{Deserialize, Serialize};

use super::witness::Witness;

/// A type's size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// With its full import path (`github.com/segmentio/kafka-go.Message`).
    #[serde(rename = "type")]
    pub type_name: String,
    /// Bytes, which is also the distance between two in a slice; null when nobody knows it.
    pub size: Option<u64>,
    /// All who vouch for it.
    pub witnesses: Vec<Witness>,
    /// What each witness says, where they disagree.
    #[serde(default)]
    pub disputed: Vec<SizeClaim>,
}

/// What one witness says of a disputed size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeClaim {
    /// Who says it.
    pub witness: Witness,
    /// Bytes.
    pub size: u64,
}

/// A type's descriptor: its address stands in the first word of an `interface {}` that holds such a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Descriptor {
    /// With its full import path (`*errors.errorString`).
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its address; at run time the load bias is added. Null when the binary has none.
    pub vaddr: Option<u64>,
    /// `types`, or nobody.
    pub witnesses: Vec<Witness>,
}

/// The closures of a function, and of its copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closures {
    /// The function that they are written in.
    pub of: String,
    /// Their addresses; at run time the load bias is added. None where the program has none.
    pub vaddrs: Vec<u64>,
}

/// A package's variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// What the catalog calls it.
    pub name: String,
    /// The function that passes it on.
    pub function: String,
    /// Its address, which the program can write to; at run time the load bias is added.
    pub vaddr: u64,
    /// Whether the program would be disturbed by spans whose ids it does not know.
    #[serde(default)]
    pub wants_ids: bool,
}

/// What leads from a value to the context, or the connection, that it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// `context.Context`, `*net/http.Request` or `net.Conn`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// From where the interface's data word points to.
    pub offset: u64,
}
