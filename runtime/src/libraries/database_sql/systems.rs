//! Which system of databases a driver is for, by the package that its types are of. A number stands for each in the programs'
//! configuration and in their records.

use super::statement::Dialect;

/// A system of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct System {
    /// `db.system.name`.
    pub name: &'static str,
    /// The port that goes without saying; 0: there is none.
    pub port: u16,
    /// How its statements are read.
    pub dialect: Dialect,
}

const fn system(name: &'static str, port: u16, dialect: Dialect) -> System {
    System { name, port, dialect }
}

/// By number; the first is every one that is not known.
const SYSTEMS: [System; 13] = [
    system("other_sql", 0, Dialect::Unknown),
    system("postgresql", 5432, Dialect::Postgres),
    system("mysql", 3306, Dialect::MySql),
    system("sqlite", 0, Dialect::Sqlite),
    system("microsoft.sql_server", 1433, Dialect::SqlServer),
    system("clickhouse", 9000, Dialect::ClickHouse),
    system("oracle.db", 1521, Dialect::Oracle),
    system("trino", 8080, Dialect::Unknown),
    system("firebirdsql", 3050, Dialect::Unknown),
    system("sap.hana", 0, Dialect::Unknown),
    system("gcp.spanner", 0, Dialect::Unknown),
    system("ibm.db2", 0, Dialect::Unknown),
    system("teradata", 1025, Dialect::Unknown),
];

const UNKNOWN: u8 = 0;
/// The number of PostgreSQL.
pub const POSTGRES: u8 = 1;
/// The number of MySQL.
pub const MYSQL: u8 = 2;
const SQLITE: u8 = 3;
const SQL_SERVER: u8 = 4;
const CLICKHOUSE: u8 = 5;
const ORACLE: u8 = 6;

/// The packages of drivers and of their connectors.
const PACKAGES: [(&str, u8); 23] = [
    ("github.com/lib/pq", POSTGRES),
    ("github.com/jackc/pgx/stdlib", POSTGRES),
    ("github.com/jackc/pgx/v4/stdlib", POSTGRES),
    ("github.com/jackc/pgx/v5/stdlib", POSTGRES),
    ("github.com/uptrace/bun/driver/pgdriver", POSTGRES),
    ("github.com/go-sql-driver/mysql", MYSQL),
    ("modernc.org/sqlite", SQLITE),
    ("github.com/mattn/go-sqlite3", SQLITE),
    ("github.com/glebarez/go-sqlite", SQLITE),
    ("github.com/ncruces/go-sqlite3/driver", SQLITE),
    ("github.com/microsoft/go-mssqldb", SQL_SERVER),
    ("github.com/microsoft/go-mssqldb/azuread", SQL_SERVER),
    ("github.com/denisenkom/go-mssqldb", SQL_SERVER),
    ("github.com/ClickHouse/clickhouse-go", CLICKHOUSE),
    ("github.com/ClickHouse/clickhouse-go/v2", CLICKHOUSE),
    ("github.com/sijms/go-ora/v2", ORACLE),
    ("github.com/godror/godror", ORACLE),
    ("github.com/trinodb/trino-go-client/trino", 7),
    ("github.com/nakagami/firebirdsql", 8),
    ("github.com/SAP/go-hdb/driver", 9),
    ("github.com/googleapis/go-sql-spanner", 10),
    ("github.com/ibmdb/go_ibm_db", 11),
    ("github.com/Teradata/gosql-driver/teradatasql", 12),
];

/// The number of the system that a driver or a connector of this type is for, as the Plan has its name: `*github.com/lib/pq.Driver`.
pub fn number_of(concrete: &str) -> u8 {
    let package = offsets::names::package(concrete.trim_start_matches('*'));
    let found = PACKAGES.iter().find(|(path, _)| Some(*path) == package);
    found.map_or(UNKNOWN, |(_, number)| *number)
}

/// The system with this number.
pub fn system_of(number: u8) -> System {
    let [unknown, ..] = SYSTEMS;
    SYSTEMS.get(usize::from(number)).copied().unwrap_or(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_told_by_their_packages() {
        for (concrete, want) in [
            ("*github.com/lib/pq.Driver", "postgresql"),
            ("*github.com/jackc/pgx/v5/stdlib.Driver", "postgresql"),
            ("github.com/jackc/pgx/v5/stdlib.connector", "postgresql"),
            ("*github.com/go-sql-driver/mysql.MySQLDriver", "mysql"),
            ("*modernc.org/sqlite.Driver", "sqlite"),
            ("*github.com/mattn/go-sqlite3.SQLiteDriver", "sqlite"),
            ("*github.com/microsoft/go-mssqldb.Driver", "microsoft.sql_server"),
            ("*main.fakeDriver", "other_sql"),
            ("*example.com/github.com/lib/pq.Driver", "other_sql"),
            ("", "other_sql"),
        ] {
            assert_eq!(system_of(number_of(concrete)).name, want, "{concrete}");
        }
        assert!(PACKAGES.iter().all(|(_, number)| usize::from(*number) < SYSTEMS.len()));
        assert_eq!(system_of(u8::MAX), system_of(UNKNOWN));
    }
}
