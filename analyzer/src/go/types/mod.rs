//! Go's type data: descriptors, and what can be told from them.

pub mod closure;
mod descriptor;
pub mod itabs;
pub mod maps;
mod member;
mod names;
mod tag;

pub use descriptor::{Field, Kind, Type, Types};
pub use names::NameBudget;
