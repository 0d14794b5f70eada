//! `database/sql`: a CLIENT span for each operation that reaches a driver.
//!
//! ```text
//!  records ──► begun ──► joiner ──► span
//!   checked     statement  until      names, attributes, status
//!   views       and place  the end
//! ```

mod begun;
mod config;
mod joiner;
mod place;
mod records;
mod span;
mod statement;
mod systems;

use analyzer::{Plan, plan};
use runtime_ebpf::{database_sql::IN_FLIGHT_BYTES, libraries::DATABASE_SQL};

use super::join;
use super::library::{ConfigError, Flight, Library};
use super::values::bytes_of;
use crate::spans::Kind;
use joiner::Joiner;

/// The library.
pub struct DatabaseSql;

impl Library for DatabaseSql {
    fn id(&self) -> &'static str {
        DATABASE_SQL.id
    }

    fn code(&self) -> u16 {
        DATABASE_SQL.code
    }

    fn kind(&self) -> Kind {
        Kind::Client
    }

    fn programs(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("query", "database_sql_query"),
            ("db_query", "database_sql_db_query"),
            ("exec", "database_sql_exec"),
            ("stmt_query", "database_sql_stmt_query"),
            ("stmt_exec", "database_sql_stmt_exec"),
            ("prepare", "database_sql_prepare"),
            ("begin", "database_sql_begin"),
            ("commit", "database_sql_commit"),
            ("rollback", "database_sql_rollback"),
            ("ping", "database_sql_ping"),
            ("query_end", "database_sql_query_end"),
            ("db_query_failed", "database_sql_db_query_failed"),
            ("exec_end", "database_sql_exec_end"),
            ("prepared_query_end", "database_sql_prepared_query_end"),
            ("stmt_query_end", "database_sql_stmt_query_end"),
            ("stmt_exec_end", "database_sql_stmt_exec_end"),
            ("query_prepare_end", "database_sql_query_prepare_end"),
            ("exec_prepare_end", "database_sql_exec_prepare_end"),
            ("prepare_end", "database_sql_prepare_end"),
            ("begin_end", "database_sql_begin_end"),
            ("commit_end", "database_sql_commit_end"),
            ("rollback_end", "database_sql_rollback_end"),
            ("ping_end", "database_sql_ping_end"),
        ]
    }

    fn tails(&self) -> &'static [&'static str] {
        &["database_sql_record", "database_sql_announce"]
    }

    fn tail_map(&self) -> &'static str {
        "DATABASE_SQL_TAILS"
    }

    fn file_map(&self) -> Option<&'static str> {
        Some("DATABASE_SQL_FILES")
    }

    fn flight(&self) -> Option<Flight> {
        Some(Flight {
            map: "DATABASE_SQL_FLIGHT",
            value_bytes: IN_FLIGHT_BYTES,
            use_map: "DATABASE_SQL_USE",
            entries_global: "DATABASE_SQL_ENTRIES",
            part: 1,
            lost: None,
            gives_way: None,
        })
    }

    fn asks_for_parents(&self) -> bool {
        true
    }

    fn config(&self, library: &plan::Library, plan: &Plan) -> Result<Vec<u8>, ConfigError> {
        let file = config::file(library, plan)?;
        // SAFETY: a File is repr(C), integers without padding (its size is pinned by a test in runtime-ebpf).
        Ok(unsafe { bytes_of(&file) })
    }

    fn joiner(&self) -> Box<dyn join::Joiner> {
        Box::<Joiner>::default()
    }
}
