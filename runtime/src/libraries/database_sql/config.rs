//! The configuration of the programs, from the library's part of the Plan.

use analyzer::{
    Plan,
    plan::{self, Itab, When},
};
use runtime_ebpf::{
    abi::{CHECK_NONE, MAX_OFFSET, NO_OFFSET},
    database_sql::{
        BEGIN, CODE_INT, CODE_NONE, CODE_TEXT, CODE_U16, CODES, COMMIT, CONNECTOR_WINDOW, Connector,
        DB_QUERY, EXEC, File, KNOWN, PING, PREPARE, QUERY, RETRIERS, ROLLBACK, STARTS as START_COUNT,
        STMT_EXEC, STMT_QUERY, Start,
    },
    libraries::DATABASE_SQL,
};

use super::place::Form;
use super::systems;
use crate::libraries::{
    errors::{self, Wrapper},
    library::ConfigError,
    values::{offset, role, stack_check},
};

/// Where an operation begins: its place, its role in the catalog, that of its end without which it is not traced, and whether it is tried
/// again on another connection, by a function that calls its own again, or by itself.
const STARTS: [(usize, &str, &str, Again); START_COUNT] = [
    (QUERY, "query", "query_end", Again::ByCaller),
    (EXEC, "exec", "exec_end", Again::ByCaller),
    (STMT_QUERY, "stmt_query", "stmt_query_end", Again::ByItself),
    (STMT_EXEC, "stmt_exec", "stmt_exec_end", Again::ByItself),
    (PREPARE, "prepare", "prepare_end", Again::ByCaller),
    (BEGIN, "begin", "begin_end", Again::ByCaller),
    (COMMIT, "commit", "commit_end", Again::Never),
    (ROLLBACK, "rollback", "rollback_end", Again::Never),
    (PING, "ping", "ping_end", Again::Never),
    (DB_QUERY, "db_query", "query_end", Again::ByAnyCaller),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Never,
    /// One caller does so; where the Plan does not name it any may be that one.
    ByCaller,
    ByAnyCaller,
    ByItself,
}

const CONNECTOR: &str = "database/sql/driver.Connector";
const DRIVER: &str = "database/sql/driver.Driver";

/// Errors that hold another.
const WRAPPERS: [Wrapper; 4] = [
    ("*fmt.wrapError", "fmt.wrapError", "err"),
    ("*github.com/jackc/pgx/v5/pgconn.errTimeout", "github.com/jackc/pgx/v5/pgconn.errTimeout", "err"),
    (
        "*github.com/jackc/pgx/v5/pgconn.contextAlreadyDoneError",
        "github.com/jackc/pgx/v5/pgconn.contextAlreadyDoneError",
        "err",
    ),
    ("*github.com/jackc/pgx/v5/pgconn.PrepareError", "github.com/jackc/pgx/v5/pgconn.PrepareError", "err"),
];

/// Errors that have a code: descriptor, struct, field, what it is.
const CODED: [(&str, &str, &str, u8); CODES] = [
    ("*github.com/lib/pq.Error", "github.com/lib/pq.Error", "Code", CODE_TEXT),
    ("*github.com/jackc/pgx/v5/pgconn.PgError", "github.com/jackc/pgx/v5/pgconn.PgError", "Code", CODE_TEXT),
    (
        "*github.com/go-sql-driver/mysql.MySQLError",
        "github.com/go-sql-driver/mysql.MySQLError",
        "Number",
        CODE_U16,
    ),
    ("*modernc.org/sqlite.Error", "modernc.org/sqlite.Error", "code", CODE_INT),
    ("github.com/mattn/go-sqlite3.Error", "github.com/mattn/go-sqlite3.Error", "Code", CODE_INT),
];

const ANYWHERE: u64 = MAX_OFFSET as u64;
const STRING_BYTES: u16 = 16;
/// The last offset in the window that leaves room for what is read there.
const LIMIT: u64 = CONNECTOR_WINDOW as u64 - STRING_BYTES as u64;

/// Where a connector has what is read, before it is known how far that reaches.
#[derive(Debug, Clone, Copy)]
struct Places {
    config: u16,
    address: u16,
    database: u16,
    network: u16,
    port: u16,
    driver: u16,
    form: Form,
}

const NOWHERE: Places = Places {
    config: NO_OFFSET,
    address: NO_OFFSET,
    database: NO_OFFSET,
    network: NO_OFFSET,
    port: NO_OFFSET,
    driver: NO_OFFSET,
    form: Form::Unknown,
};

/// What the programs need to know of this binary.
pub fn file(library: &plan::Library, plan: &Plan) -> Result<File, ConfigError> {
    let at = |type_name, field| offset(library, type_name, field, ANYWHERE);
    let mut file = File {
        errors: errors::config(library, plan, &WRAPPERS),
        starts: STARTS.map(|(_, name, end, again)| start(library, plan, (name, end), again)),
        connector_itabs: [0; KNOWN],
        connectors: [connector(NOWHERE, 0); KNOWN],
        driver_itabs: [0; KNOWN],
        driver_systems: [0; KNOWN],
        code_vaddrs: [0; CODES],
        code_offsets: [NO_OFFSET; CODES],
        code_forms: [CODE_NONE; CODES],
        reserved: 0,
        db_connector: at("database/sql.DB", "connector"),
        stmt_db: at("database/sql.Stmt", "db"),
        stmt_query: at("database/sql.Stmt", "query"),
        tx_db: at("database/sql.Tx", "db"),
        tx_ctx: at("database/sql.Tx", "ctx"),
        tx_done: at("database/sql.Tx", "done"),
        reserved2: [0; 2],
    };
    // A program has what it calls: one that only reads has nothing that executes.
    if file.starts.iter().all(|start| start.vaddr == 0) {
        return Err(ConfigError::NoSite { library: DATABASE_SQL.id, role: "query" });
    }
    set_connectors(library, &mut file);
    set_drivers(library, &mut file);
    set_codes(library, &mut file);
    Ok(file)
}

fn start(library: &plan::Library, plan: &Plan, (name, end): (&str, &str), again: Again) -> Start {
    let none = Start {
        vaddr: 0,
        retry_vaddrs: [0; RETRIERS],
        retry_bytes: [0; RETRIERS],
        check: CHECK_NONE,
        is_retried: 0,
        retries_itself: 0,
        reserved: [0; 5],
    };
    let Some(function) = role(library, name).filter(|_| role(library, end).is_some()) else { return none };
    let Some(site) = function.sites.first() else { return none };
    let check = if site.when == When::Entry { stack_check(plan.arch, &site.bytes) } else { CHECK_NONE };
    // More than there is room for may be any.
    let known = again == Again::ByCaller && function.callers.len() <= RETRIERS;
    let callers = if known { function.callers.as_slice() } else { &[] };
    let (mut retry_vaddrs, mut retry_bytes) = ([0; RETRIERS], [0; RETRIERS]);
    for ((vaddr, bytes), caller) in retry_vaddrs.iter_mut().zip(&mut retry_bytes).zip(callers) {
        (*vaddr, *bytes) = (caller.vaddr, u32::try_from(caller.size).unwrap_or(u32::MAX));
    }
    Start {
        vaddr: site.vaddr,
        retry_vaddrs,
        retry_bytes,
        check,
        is_retried: u8::from(again != Again::Never),
        retries_itself: u8::from(again == Again::ByItself),
        reserved: [0; 5],
    }
}

/// The itabs of an interface, those of which more is known first: whoever has more kinds than there is room for has those.
fn itabs<'a, T>(
    library: &'a plan::Library,
    interface: &str,
    know: impl Fn(&'a Itab) -> Option<(u8, T)>,
) -> Vec<(u64, T)> {
    let of_interface = library.itabs.iter().filter(|itab| itab.interface == interface);
    let mut known: Vec<(u8, u64, T)> = of_interface
        .filter_map(|itab| {
            let (rank, what) = know(itab)?;
            Some((rank, itab.vaddr?, what))
        })
        .collect();
    known.sort_by_key(|(rank, vaddr, _)| (*rank, *vaddr));
    known.into_iter().map(|(_, vaddr, what)| (vaddr, what)).collect()
}

fn set_connectors(library: &plan::Library, file: &mut File) {
    let known = itabs(library, CONNECTOR, |itab| {
        let places = places(library, &itab.concrete);
        let system = systems::number_of(&itab.concrete);
        (places.form != Form::Unknown || system != 0)
            .then(|| (u8::from(places.form == Form::Unknown), connector(places, system)))
    });
    let slots = file.connector_itabs.iter_mut().zip(&mut file.connectors);
    for ((itab, slot), (vaddr, connector)) in slots.zip(known) {
        (*itab, *slot) = (vaddr, connector);
    }
}

fn set_drivers(library: &plan::Library, file: &mut File) {
    let known = itabs(library, DRIVER, |itab| {
        let system = systems::number_of(&itab.concrete);
        (system != 0).then_some((0, system))
    });
    let slots = file.driver_itabs.iter_mut().zip(&mut file.driver_systems);
    for ((itab, slot), (vaddr, system)) in slots.zip(known) {
        (*itab, *slot) = (vaddr, system);
    }
}

fn set_codes(library: &plan::Library, file: &mut File) {
    let slots = file.code_vaddrs.iter_mut().zip(&mut file.code_offsets).zip(&mut file.code_forms);
    for ((descriptor, type_name, field, form), ((vaddr, at), slot)) in CODED.into_iter().zip(slots) {
        *at = offset(library, type_name, field, ANYWHERE);
        let found = library.types.iter().find(|found| found.type_name == descriptor);
        *vaddr = found.and_then(|found| found.vaddr).filter(|_| *at != NO_OFFSET).unwrap_or(0);
        *slot = form;
    }
}

/// Where a connector of this type has what says which database it is.
fn places(library: &plan::Library, concrete: &str) -> Places {
    let at = |type_name, field| offset(library, type_name, field, LIMIT);
    match concrete.trim_start_matches('*') {
        "database/sql.dsnConnector" => Places {
            address: at("database/sql.dsnConnector", "dsn"),
            driver: at("database/sql.dsnConnector", "driver"),
            form: Form::Dsn,
            ..NOWHERE
        },
        "github.com/lib/pq.Connector" => {
            let base = at("github.com/lib/pq.Connector", "cfg");
            of_postgres(base, |field| at("github.com/lib/pq.Config", field))
        }
        "github.com/jackc/pgx/v5/stdlib.driverConnector" => Places {
            address: at("github.com/jackc/pgx/v5/stdlib.driverConnector", "name"),
            form: Form::Dsn,
            ..NOWHERE
        },
        "github.com/jackc/pgx/v5/stdlib.connector" => {
            let within = at("github.com/jackc/pgx/v5/stdlib.connector", "ConnConfig");
            let base = plus(within, at("github.com/jackc/pgx/v5.ConnConfig", "Config"));
            of_postgres(base, |field| at("github.com/jackc/pgx/v5/pgconn.Config", field))
        }
        "github.com/go-sql-driver/mysql.connector" => {
            let config = at("github.com/go-sql-driver/mysql.connector", "cfg");
            if config == NO_OFFSET {
                return NOWHERE;
            }
            Places {
                config,
                address: at("github.com/go-sql-driver/mysql.Config", "Addr"),
                database: at("github.com/go-sql-driver/mysql.Config", "DBName"),
                network: at("github.com/go-sql-driver/mysql.Config", "Net"),
                form: Form::Network,
                ..NOWHERE
            }
        }
        _ => NOWHERE,
    }
}

/// The configuration of PostgreSQL's drivers, in the connector itself from an offset on.
fn of_postgres(base: u16, at: impl Fn(&'static str) -> u16) -> Places {
    if base == NO_OFFSET {
        return NOWHERE;
    }
    Places {
        address: plus(base, at("Host")),
        port: plus(base, at("Port")),
        database: plus(base, at("Database")),
        form: Form::Host,
        ..NOWHERE
    }
}

/// One offset behind another, if both are known and what is there can be read.
fn plus(base: u16, offset: u16) -> u16 {
    if base == NO_OFFSET || offset == NO_OFFSET {
        return NO_OFFSET;
    }
    base.checked_add(offset).filter(|sum| u64::from(*sum) <= LIMIT).unwrap_or(NO_OFFSET)
}

/// How to read such a connector: up to the last that is wanted, and no byte more.
fn connector(places: Places, system: u8) -> Connector {
    let strings = [places.address, places.database, places.network, places.driver];
    let known = strings.iter().map(|at| (*at, STRING_BYTES)).chain([(places.port, 8)]);
    let bytes = known.filter(|(at, _)| *at != NO_OFFSET).map(|(at, len)| at + len).max().unwrap_or(0);
    Connector {
        config: places.config,
        bytes,
        address: places.address,
        database: places.database,
        network: places.network,
        port: places.port,
        driver: places.driver,
        form: places.form.number(),
        system,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_stand_at_their_numbers() {
        assert!(STARTS.iter().enumerate().all(|(at, (number, ..))| at == *number));
    }

    #[test]
    fn a_connector_is_read_as_far_as_it_is_known() {
        assert_eq!(connector(NOWHERE, 1).bytes, 0);
        let places = of_postgres(8, |field| if field == "Port" { 40 } else { NO_OFFSET });
        assert_eq!((places.port, connector(places, 1).bytes), (48, 56));
        assert_eq!(plus(100, 13), NO_OFFSET);
        assert_eq!((plus(NO_OFFSET, 0), plus(0, NO_OFFSET)), (NO_OFFSET, NO_OFFSET));
    }
}
