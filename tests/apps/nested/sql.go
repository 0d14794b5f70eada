package main

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"strings"
)

// nested is a driver that asks other tables when it is asked for one: those that stand in below.
type nested struct{}

// below are the tables that are asked in turn while one is.
var below = map[string][]string{
	"outer": {"middle", "second"}, "middle": {"inner"}, "panicking": {"panics", "after"},
}

func (nested) Open(string) (driver.Conn, error) { return conn{}, nil }

type conn struct{}

func (conn) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }
func (conn) Close() error                        { return nil }
func (conn) Begin() (driver.Tx, error) {
	query(context.Background(), "begun")
	return conn{}, nil
}
func (conn) Commit() error   { return nil }
func (conn) Rollback() error { return nil }

func (conn) QueryContext(ctx context.Context, text string, _ []driver.NamedValue) (driver.Rows, error) {
	table := strings.TrimPrefix(text, "SELECT a FROM ")
	if table == "panics" {
		panic("as it was asked to")
	}
	for _, table := range below[table] {
		func() {
			defer func() { recover() }()
			query(ctx, table)
		}()
	}
	if table == "second" {
		return nil, fmt.Errorf("as it was asked to")
	}
	return rows{}, nil
}

func (conn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), nil
}

type rows struct{}

func (rows) Columns() []string         { return []string{"a"} }
func (rows) Close() error              { return nil }
func (rows) Next([]driver.Value) error { return io.EOF }

// valued asks the database for what it is.
type valued struct{}

func (valued) Value() (driver.Value, error) {
	query(context.Background(), "value")
	return "secret", nil
}

// query fails where its table does.
func query(ctx context.Context, table string) {
	rows, err := db.QueryContext(ctx, "SELECT a FROM "+table)
	if err == nil {
		rows.Close()
	}
}

// withinEachOther makes operations within operations: by a driver, by a value that is asked for what it is, and by a driver's Begin.
func withinEachOther(ctx context.Context) {
	query(ctx, "outer")
	_, err := db.ExecContext(ctx, "UPDATE valued SET a = ?", valued{})
	must(err)
	tx, err := db.BeginTx(ctx, nil)
	must(err)
	must(tx.Commit())
	query(ctx, "panicking")
	// What comes behind is as if nothing had been.
	query(ctx, "last")
}
