//! The operations of `tests/e2e/database_sql` and their parents, for the virtual machines of `tests/vm` too.

#[path = "../e2e/database_sql/cases.rs"]
pub mod cases;
#[path = "../e2e/database_sql/seen.rs"]
pub mod seen;
