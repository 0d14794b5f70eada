//! Programs that do one thing alone, of which the linker leaves the rest of database/sql out; and one whose driver asks another database.

use anyhow::{Result, ensure};
use strobe_tests::agent::losses;
use strobe_tests::built::Recipe;
use strobe_tests::golang::go;
use strobe_tests::stage::Stage;

use super::seen::SCOPE;

const HOST: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// All but `what`.
const MAIN: &str = r#"package main

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

// fake answers every query with a row, and does what hook does before.
type fake struct{}

var hook func(string) error

func (fake) Open(string) (driver.Conn, error)         { return fake{}, nil }
func (fake) Prepare(query string) (driver.Stmt, error) { return stmt(query), nil }
func (fake) Close() error                              { return nil }
func (fake) Begin() (driver.Tx, error)                 { return nil, errors.New("no transactions") }

type stmt string

func (stmt) Close() error  { return nil }
func (stmt) NumInput() int { return -1 }
func (s stmt) Exec([]driver.Value) (driver.Result, error) {
	if hook != nil {
		return driver.RowsAffected(1), hook(string(s))
	}
	return driver.RowsAffected(1), nil
}
func (s stmt) Query([]driver.Value) (driver.Rows, error) {
	if hook != nil {
		if err := hook(string(s)); err != nil {
			return nil, err
		}
	}
	return &rows{}, nil
}

type rows struct{ done bool }

func (*rows) Columns() []string { return []string{"a"} }
func (*rows) Close() error      { return nil }
func (r *rows) Next(to []driver.Value) error {
	if r.done {
		return io.EOF
	}
	r.done = true
	to[0] = int64(1)
	return nil
}

var db *sql.DB

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	sql.Register("fake", fake{})
	var err error
	db, err = sql.Open("fake", "")
	must(err)
	stop, begin := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(stop, syscall.SIGTERM)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(begin) }))
	fmt.Printf("listening on http://%s\n", l.Addr())
	<-begin
	what()
	fmt.Println("done")
	<-stop
}
"#;

/// Runs a program of this `what`, and gives the names of its spans in their order.
fn names(what: &str, run: impl FnOnce(&Stage) -> Result<()>) -> Result<Vec<String>> {
    let files = &[("main.go", MAIN), ("what.go", what)];
    let args = &["-ldflags=-s -w"];
    let built = Recipe { version: go(26), arch: HOST, mode: "exe", args, files, modules: &[] }.build()?;
    let mut stage = Stage::new(&built, &[], &[])?;
    let mut spans = stage.run(2)?;
    spans.retain(|span| span.scope == SCOPE);
    spans.sort_by_key(|span| span.span.start_time_unix_nano);
    run(&stage)?;
    stage.stop()?;
    Ok(spans.into_iter().map(|span| span.span.name).collect())
}

fn nothing_lost(stage: &Stage) -> Result<()> {
    let lost = losses(&stage.agent);
    ensure!(lost.is_empty(), "{lost:?}\n{}", stage.agent.output());
    Ok(())
}

#[test]
fn a_program_that_only_reads() -> Result<()> {
    let what = r#"package main

func what() {
	var a int
	must(db.QueryRow("SELECT a FROM t").Scan(&a))
}
"#;
    let got = names(what, nothing_lost)?;
    ensure!(got == ["SELECT t"], "{got:?}");
    Ok(())
}

#[test]
fn a_program_that_only_executes() -> Result<()> {
    let what = r#"package main

func what() {
	_, err := db.Exec("UPDATE t SET a = 1")
	must(err)
}
"#;
    let got = names(what, nothing_lost)?;
    ensure!(got == ["UPDATE t"], "{got:?}");
    Ok(())
}

#[test]
fn a_program_with_nothing_but_a_prepared_statement() -> Result<()> {
    let what = r#"package main

func what() {
	statement, err := db.Prepare("DELETE FROM t")
	must(err)
	_, err = statement.Exec()
	must(err)
}
"#;
    let got = names(what, nothing_lost)?;
    ensure!(got == ["PREPARE", "DELETE t"], "{got:?}");
    Ok(())
}

/// The inner operation ends by a panic, and has no span. What the outer one ends with is its own.
#[test]
fn an_operation_within_another_that_panics() -> Result<()> {
    let what = r#"package main

import "errors"

func what() {
	hook = func(query string) error {
		switch query {
		case "UPDATE outer SET a = 1":
			func() {
				defer func() { recover() }()
				db.Query("SELECT a FROM within")
			}()
			return errors.New("the outer one fails")
		case "SELECT a FROM within":
			panic("no database")
		}
		return nil
	}
	db.Exec("UPDATE outer SET a = 1")
	_, err := db.Exec("UPDATE t SET a = 1")
	must(err)
}
"#;
    let got = names(what, nothing_lost)?;
    ensure!(got == ["UPDATE outer", "UPDATE t"], "{got:?}");
    Ok(())
}

/// Four of five operations within one another have room. With the fifth the first ones are lost, and each of them is counted; what comes behind
/// is as if nothing had been.
#[test]
fn operations_too_deep_within_one_another_are_counted() -> Result<()> {
    let what = r#"package main

func what() {
	next := map[string]string{
		"SELECT a FROM deep0": "SELECT a FROM deep1", "SELECT a FROM deep1": "SELECT a FROM deep2",
		"SELECT a FROM deep2": "SELECT a FROM deep3", "SELECT a FROM deep3": "SELECT a FROM deep4",
	}
	hook = func(query string) error {
		if within := next[query]; within != "" {
			rows, err := db.Query(within)
			must(err)
			must(rows.Close())
		}
		return nil
	}
	rows, err := db.Query("SELECT a FROM deep0")
	must(err)
	must(rows.Close())
	_, err = db.Exec("UPDATE t SET a = 1")
	must(err)
}
"#;
    let mut lost = Default::default();
    let got = names(what, |stage| {
        lost = losses(&stage.agent);
        Ok(())
    })?;
    ensure!(got == ["SELECT deep4", "UPDATE t"], "{got:?}");
    let due = [("database_sql.lost.called_within", 1), ("database_sql.lost.open_at_exit", 3)];
    let due = due.map(|(name, count)| (name.to_owned(), count));
    ensure!(lost == due.into(), "{lost:?}");
    Ok(())
}
