//! How a system writes its statements, as far as tokens differ.

use sqlparser::dialect as parser;

/// A way of writing statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Postgres,
    MySql,
    Sqlite,
    SqlServer,
    ClickHouse,
    Oracle,
    /// Whose it is is not known.
    Unknown,
}

impl Dialect {
    /// All of them.
    #[cfg(test)]
    pub const ALL: [Dialect; 7] = [
        Dialect::Postgres,
        Dialect::MySql,
        Dialect::Sqlite,
        Dialect::SqlServer,
        Dialect::ClickHouse,
        Dialect::Oracle,
        Dialect::Unknown,
    ];

    /// What finds its tokens.
    pub fn tokens(self) -> Box<dyn parser::Dialect> {
        match self {
            Dialect::Postgres => Box::new(parser::PostgreSqlDialect {}),
            Dialect::MySql => Box::new(parser::MySqlDialect {}),
            Dialect::Sqlite => Box::new(parser::SQLiteDialect {}),
            Dialect::SqlServer => Box::new(parser::MsSqlDialect {}),
            Dialect::ClickHouse => Box::new(parser::ClickHouseDialect {}),
            Dialect::Oracle => Box::new(parser::OracleDialect {}),
            Dialect::Unknown => Box::new(parser::GenericDialect {}),
        }
    }

    /// Whether what stands in double quotes may be a literal: it is in MySQL, and in SQLite where no column has the name.
    pub fn has_literals_in_double_quotes(self) -> bool {
        matches!(self, Dialect::MySql | Dialect::Sqlite | Dialect::Unknown)
    }
}
