//! Commands that hand figures to other programs, and hold them against theirs.
//!
//! | module | has |
//! |---|---|
//! | [`export`] | the database as a table that another program reads |
//! | [`compare`] | another program's table against the database |
//! | [`figures`] | what may be said of a field where the answer has no room for a doubt |
//! | [`tables`] | those tables' forms, read and written |

pub mod compare;
pub mod export;
mod figures;
mod tables;
