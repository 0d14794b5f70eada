//! `database/sql`: a span for each operation that reaches a driver, from the function that has a connection to where the driver answers.
//!
//! ```text
//! query, exec, …        the function that has a connection entered     ► KIND_BEGAN, or KIND_RESUMED if it is tried again
//! query_end, …          behind the call of the driver                  ► KIND_ENDED or KIND_FAILED
//! query_prepare_end, …  behind a preparation that is part of the call  ► KIND_FAILED, or nothing
//! ```
//! All are hits on the caller's goroutine, which is the key.

mod begin;
mod end;
mod flight;
mod which;

use aya_ebpf::{
    macros::{map, uprobe},
    maps::ProgramArray,
    programs::ProbeContext,
};
use runtime_ebpf::{
    counters::Counter as Core,
    database_sql::{
        BEGIN, COMMIT, DB_QUERY, EXEC, File, PING, PREPARE, QUERY, ROLLBACK, STMT_EXEC, STMT_QUERY, Start,
        counters::Counter, operation_of,
    },
    libraries::DATABASE_SQL,
};

use crate::{
    count::count as count_core,
    enter::{Hit, enter},
    parent::Context,
    read::{GoString, word_or_zero},
    registers::GoRegisters,
    whole_key::WholeKey as _,
};
use begin::{Call, Place, no_query};
use end::Outcome;
use flight::count;

/// The hit and its file, if its process is traced.
#[inline(always)]
fn arrive(ctx: &ProbeContext) -> Option<(Hit, &'static File)> {
    let hit = enter(ctx)?.of(DATABASE_SQL);
    if hit.never_samples() {
        return None;
    }
    Some((hit, flight::DATABASE_SQL_FILES.get_at(hit.file())?))
}

/// The same at the site of an operation's start, unless its function will start again.
#[inline(always)]
fn arrive_at<const START: usize>(ctx: &ProbeContext) -> Option<(Hit, &'static File, &'static Start)> {
    let (hit, file) = arrive(ctx)?;
    let start = &file.starts[START];
    if start.vaddr == 0 {
        return None;
    }
    if ctx.restarts(start.check) {
        count_core(Core::Restarted);
        return None;
    }
    Some((hit, file, start))
}

#[map]
static DATABASE_SQL_TAILS: ProgramArray = ProgramArray::with_max_entries(2, 0);
/// The place of `database_sql_record`.
const RECORD: u32 = 0;
/// That of `database_sql_announce`.
const ANNOUNCE: u32 = 1;

/// Goes on in another program, which does not return. Where the kernel refuses that, the operation is lost, and counted.
#[inline(always)]
fn go_on(ctx: &ProbeContext, tail: u32) {
    // SAFETY: the map's programs are of this object and take the same context.
    unsafe { DATABASE_SQL_TAILS.tail_call(ctx, tail) };
    count(Counter::NoTail);
}

#[inline(always)]
fn begin_with(ctx: &ProbeContext, hit: &Hit, start: &Start, call: &Call) {
    let bias = ctx.instruction().wrapping_sub(start.vaddr);
    let place = Place {
        depth: hit.depth(ctx.stack()),
        stack: ctx.stack(),
        frame: ctx.frame(),
        back_to: ctx.back_to(),
    };
    if begin::begin(hit, start, bias, call, place) {
        go_on(ctx, RECORD);
    }
}

/// Where all that begin go on.
#[uprobe]
pub fn database_sql_record(ctx: ProbeContext) -> u32 {
    if let Some((hit, _)) = arrive(&ctx)
        && begin::record(&hit)
    {
        go_on(&ctx, ANNOUNCE);
    }
    0
}

/// And then those that are recorded.
#[uprobe]
pub fn database_sql_announce(ctx: ProbeContext) -> u32 {
    if let Some((hit, file)) = arrive(&ctx) {
        begin::announce(&hit, file);
    }
    0
}

/// The context that stands in argument 1.
#[inline(always)]
fn context(ctx: &ProbeContext) -> Context {
    Context { itab: ctx.argument::<1>(), data: ctx.argument::<2>() }
}

/// Begins an operation of a `*DB` at one of the sites, whose context is its first argument.
macro_rules! starts_of_db {
    ($($(#[$doc:meta])+ $program:ident $start:ident $query:expr;)+) => { $(
        $(#[$doc])+
        #[uprobe]
        pub fn $program(ctx: ProbeContext) -> u32 {
            let Some((hit, _, start)) = arrive_at::<$start>(&ctx) else { return 0 };
            let query: fn(&ProbeContext) -> GoString = $query;
            let call = Call {
                operation: operation_of($start),
                database: ctx.argument::<0>(),
                context: context(&ctx),
                query: query(&ctx),
                back_to: ctx.back_to(),
            };
            begin_with(&ctx, &hit, start, &call);
            0
        }
    )+ };
}

starts_of_db! {
    /// `(*DB).queryDC(db, ctx, txctx, dc, release, query, args)`.
    database_sql_query QUERY |ctx| GoString { address: ctx.argument::<7>(), len: ctx.argument::<8>() };
    /// `(*DB).query(db, ctx, query, args, strategy)`, which waits for a connection first.
    database_sql_db_query DB_QUERY |ctx| GoString { address: ctx.argument::<3>(), len: ctx.argument::<4>() };
    /// `(*DB).execDC(db, ctx, dc, release, query, args)`.
    database_sql_exec EXEC |ctx| GoString { address: ctx.argument::<5>(), len: ctx.argument::<6>() };
    /// `(*DB).prepareDC(db, ctx, dc, release, cg, query)`.
    database_sql_prepare PREPARE |ctx| GoString { address: ctx.argument::<7>(), len: ctx.argument::<8>() };
    /// `(*DB).beginDC(db, ctx, dc, release, opts)`.
    database_sql_begin BEGIN |_| no_query();
    /// `(*DB).pingDC(db, ctx, dc, release)`.
    database_sql_ping PING |_| no_query();
}

/// Begins an operation of a prepared statement: `(s, ctx, args)`.
#[inline(always)]
fn begin_statement<const OPERATION: usize>(ctx: &ProbeContext) {
    let Some((hit, file, start)) = arrive_at::<OPERATION>(ctx) else { return };
    let statement = ctx.argument::<0>();
    let database = word_or_zero(statement, file.stmt_db, 0);
    let query = GoString {
        address: word_or_zero(statement, file.stmt_query, 0),
        len: word_or_zero(statement, file.stmt_query, 8),
    };
    let call = Call { operation: OPERATION, database, context: context(ctx), query, back_to: 0 };
    begin_with(ctx, &hit, start, &call);
}

/// `(*Stmt).QueryContext(s, ctx, args)`.
#[uprobe]
pub fn database_sql_stmt_query(ctx: ProbeContext) -> u32 {
    begin_statement::<STMT_QUERY>(&ctx);
    0
}

/// `(*Stmt).ExecContext(s, ctx, args)`.
#[uprobe]
pub fn database_sql_stmt_exec(ctx: ProbeContext) -> u32 {
    begin_statement::<STMT_EXEC>(&ctx);
    0
}

/// Begins the end of a transaction, unless it has ended already: then nothing is sent.
#[inline(always)]
fn begin_of_transaction<const OPERATION: usize>(ctx: &ProbeContext) {
    let Some((hit, file, start)) = arrive_at::<OPERATION>(ctx) else { return };
    let transaction = ctx.argument::<0>();
    // Its lower half is the flag.
    if word_or_zero(transaction, file.tx_done, 0) as u32 != 0 {
        return count(Counter::Done);
    }
    let database = word_or_zero(transaction, file.tx_db, 0);
    let context = Context {
        itab: word_or_zero(transaction, file.tx_ctx, 0),
        data: word_or_zero(transaction, file.tx_ctx, 8),
    };
    let call = Call { operation: OPERATION, database, context, query: no_query(), back_to: 0 };
    begin_with(ctx, &hit, start, &call);
}

/// `(*Tx).Commit(tx)`.
#[uprobe]
pub fn database_sql_commit(ctx: ProbeContext) -> u32 {
    begin_of_transaction::<COMMIT>(&ctx);
    0
}

/// `(*Tx).rollback(tx, discardConn)`.
#[uprobe]
pub fn database_sql_rollback(ctx: ProbeContext) -> u32 {
    begin_of_transaction::<ROLLBACK>(&ctx);
    0
}

#[inline(always)]
fn end_with(ctx: &ProbeContext, outcome: Outcome) {
    if let Some((hit, file)) = arrive(ctx) {
        end::finish(&hit, file, hit.depth(ctx.stack()), outcome);
    }
}

/// The error that is the result behind another of two words.
#[inline(always)]
fn second_result(ctx: &ProbeContext, may_skip: bool) -> Outcome {
    Outcome { itab: ctx.argument::<2>(), data: ctx.argument::<3>(), may_skip }
}

/// Ends what is open on the goroutine. Of a preparation that is part of the call, and of a connection, only an error is its end.
macro_rules! ends {
    ($($(#[$doc:meta])+ $program:ident $outcome:expr;)+) => { $(
        $(#[$doc])+
        #[uprobe]
        pub fn $program(ctx: ProbeContext) -> u32 {
            let outcome: fn(&ProbeContext) -> Option<Outcome> = $outcome;
            if let Some(outcome) = outcome(&ctx) {
                end_with(&ctx, outcome);
            }
            0
        }
    )+ };
}

/// Nothing, if there is no error.
#[inline(always)]
fn error_alone(outcome: Outcome) -> Option<Outcome> {
    (outcome.itab != 0).then_some(outcome)
}

ends! {
    /// Behind `ctxDriverQuery`, with its results (rowsi driver.Rows, err error).
    database_sql_query_end |ctx| Some(second_result(ctx, true));
    /// Behind `(*DB).conn` in `(*DB).query`: (dc *driverConn, err error).
    database_sql_db_query_failed |ctx| {
        error_alone(Outcome { itab: ctx.argument::<1>(), data: ctx.argument::<2>(), may_skip: false })
    };
    /// Behind `ctxDriverExec`: (resi driver.Result, err error).
    database_sql_exec_end |ctx| Some(second_result(ctx, true));
    /// Behind `rowsiFromStatement`, of a query that was prepared for it: (rowsi driver.Rows, err error).
    database_sql_prepared_query_end |ctx| Some(second_result(ctx, false));
    /// The same of a prepared statement.
    database_sql_stmt_query_end |ctx| Some(second_result(ctx, false));
    /// Behind `ctxDriverStmtExec`: (resi driver.Result, err error).
    database_sql_stmt_exec_end |ctx| Some(second_result(ctx, false));
    /// Behind `ctxDriverPrepare`, which a query begins with: (si driver.Stmt, err error).
    database_sql_query_prepare_end |ctx| error_alone(second_result(ctx, false));
    /// The same of a statement.
    database_sql_exec_prepare_end |ctx| error_alone(second_result(ctx, false));
    /// Behind `(*driverConn).prepareLocked`: (ds *driverStmt, err error).
    database_sql_prepare_end |ctx| {
        Some(Outcome { itab: ctx.argument::<1>(), data: ctx.argument::<2>(), may_skip: false })
    };
    /// Behind `ctxDriverBegin`: (txi driver.Tx, err error).
    database_sql_begin_end |ctx| Some(second_result(ctx, false));
    /// Behind the driver's Commit: (err error).
    database_sql_commit_end |ctx| Some(only_result(ctx));
    /// Behind the driver's Rollback: (err error).
    database_sql_rollback_end |ctx| Some(only_result(ctx));
    /// Behind the driver's Ping: (err error).
    database_sql_ping_end |ctx| Some(only_result(ctx));
}

/// The error that is the only result.
#[inline(always)]
fn only_result(ctx: &ProbeContext) -> Outcome {
    Outcome { itab: ctx.argument::<0>(), data: ctx.argument::<1>(), may_skip: false }
}
