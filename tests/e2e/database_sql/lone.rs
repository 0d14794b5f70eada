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

/// The inner operation has taken the outer one's place, and ends by a panic. What the outer one then ends with is not the inner one's, and the
/// outer one is counted.
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
    let got = names(what, |stage| {
        let lost = losses(&stage.agent);
        ensure!(lost.get("database_sql.lost.called_within") == Some(&1) && lost.len() == 1, "{lost:?}");
        Ok(())
    })?;
    ensure!(got == ["UPDATE t"], "{got:?}");
    Ok(())
}
