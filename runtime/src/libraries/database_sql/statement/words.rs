//! The words of SQL that a summary is told by.

/// Some of them.
#[derive(Debug, Clone, Copy)]
pub struct Words(&'static str);

impl Words {
    /// Whether this is one, written in capitals.
    pub fn has(self, word: &str) -> bool {
        !word.is_empty() && self.0.split_ascii_whitespace().any(|one| one == word)
    }
}

/// Operations that have a word here and nothing more is looked for behind it.
pub const ALONE: Words = Words(
    "ABORT ANALYZE ATTACH BEGIN CHECK CHECKPOINT CLOSE CLUSTER COMMENT COMMIT COPY DEALLOCATE \
     DESC DESCRIBE DETACH DISCARD DO END FETCH FLUSH GRANT HANDLER KILL LISTEN LOAD LOCK MOVE NOTIFY \
     OPTIMIZE PRAGMA PREPARE REASSIGN REFRESH REINDEX RELEASE RENAME REPAIR RESET REVOKE ROLLBACK \
     SAVEPOINT SET SHOW START UNLISTEN UNLOCK USE VACUUM VALUES",
);
/// What follows `BEGIN` where it begins a transaction.
pub const MODES: Words =
    Words("TRANSACTION TRAN WORK ISOLATION READ DEFERRED IMMEDIATE EXCLUSIVE CONCURRENT NOT DEFERRABLE");
/// What `CREATE`, `ALTER` and `DROP` may have before the kind of what they are about.
pub const BEFORE_KIND: Words = Words(
    "OR REPLACE TEMP TEMPORARY GLOBAL LOCAL UNLOGGED UNIQUE MATERIALIZED VIRTUAL EXTERNAL FOREIGN \
     FULLTEXT SPATIAL CLUSTERED NONCLUSTERED RECURSIVE EDITIONABLE NONEDITIONABLE COLUMNSTORE",
);
/// The kinds whose names are those of tables or nearly so.
pub const NAMED: Words = Words("TABLE VIEW INDEX");
/// Other kinds.
pub const UNNAMED: Words = Words(
    "AGGREGATE COLLATION DATABASE DOMAIN EVENT EXTENSION FUNCTION LOGIN POLICY PROCEDURE PUBLICATION ROLE \
     RULE SCHEMA SEQUENCE SERVER STATISTICS SUBSCRIPTION SYNONYM SYSTEM TABLESPACE TRIGGER TYPE USER",
);
/// What stands between a kind and the name.
pub const BEFORE_NAME: Words = Words("CONCURRENTLY IF NOT EXISTS ONLY");
/// What stands between `INSERT` or `UPDATE` and the table.
pub const BEFORE_TABLE: Words = Words(
    "LOW_PRIORITY HIGH_PRIORITY DELAYED IGNORE OR REPLACE ROLLBACK ABORT FAIL OVERWRITE INTO TABLE ONLY \
     QUICK",
);
/// What ends the list of tables.
pub const AFTER_TABLES: Words = Words(
    "WHERE GROUP ORDER HAVING LIMIT WINDOW SET RETURNING VALUES FETCH OFFSET FOR QUALIFY WHEN PREWHERE \
     CONNECT OPTION OUTPUT SETTINGS DUPLICATE INTO",
);
/// Behind these one query ends and another may follow.
pub const BETWEEN_QUERIES: Words = Words("UNION EXCEPT INTERSECT MINUS");
