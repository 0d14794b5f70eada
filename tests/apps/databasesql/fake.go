package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

func init() {
	sql.Register("fake", &fakeDriver{})
	sql.Register("plain", &plainDriver{})
}

// A fakeError has no code that anybody knows.
type fakeError struct{ what string }

func (e *fakeError) Error() string { return e.what }

// Is says that some are of a bad connection, as errors that drivers wrap do.
var errPlain = errors.New("fake: a plain text")

// tries counts calls by table, so that a fault may be the first one's alone.
var tries = struct {
	sync.Mutex
	of map[string]int
}{of: map[string]int{}}

func nth(table string) int {
	tries.Lock()
	defer tries.Unlock()
	tries.of[table]++
	return tries.of[table]
}

// answer does what the table's name asks for: it is the word behind FROM, INTO or UPDATE.
func answer(ctx context.Context, query string, prepared bool) error {
	table := tableOf(query)
	kind := table
	if i := strings.IndexByte(table, '_'); i >= 0 {
		kind = table[:i]
	}
	switch kind {
	case "skip":
		if !prepared {
			return driver.ErrSkip
		}
	case "badonce":
		if nth(table) == 1 {
			return driver.ErrBadConn
		}
	case "badtwice":
		if nth(table) <= 2 {
			return driver.ErrBadConn
		}
	case "badwrapped":
		if nth(table) == 1 {
			return fmt.Errorf("fake: the connection is gone: %w", driver.ErrBadConn)
		}
	case "badalways":
		return driver.ErrBadConn
	case "badfails":
		if nth(table) == 1 {
			return driver.ErrBadConn
		}
		return &fakeError{"after a bad connection"}
	case "fails":
		return &fakeError{"as it was asked to"}
	case "wrapped":
		return fmt.Errorf("fake: around it: %w", &fakeError{"within"})
	case "text":
		return errPlain
	case "waits":
		<-ctx.Done()
		return ctx.Err()
	case "slow":
		time.Sleep(20 * time.Millisecond)
	case "panics":
		panic("fake: as it was asked to")
	}
	return nil
}

func tableOf(query string) string {
	words := strings.Fields(query)
	for i, word := range words {
		switch strings.ToUpper(word) {
		case "FROM", "INTO", "UPDATE", "TABLE":
			if i+1 < len(words) {
				return strings.Trim(words[i+1], "();,")
			}
		}
	}
	return ""
}

type fakeDriver struct{}

func (fakeDriver) Open(string) (driver.Conn, error) { return &fakeConn{}, nil }

// A fakeConn has all that a driver of today has.
type fakeConn struct{}

func (c *fakeConn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

func (c *fakeConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if strings.Contains(query, "unpreparable") {
		return nil, &fakeError{"it cannot be prepared"}
	}
	return &fakeStmt{query}, nil
}

func (c *fakeConn) Close() error              { return nil }
func (c *fakeConn) Begin() (driver.Tx, error) { return fakeTx{}, nil }

func (c *fakeConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if opts.ReadOnly {
		return nil, &fakeError{"no transaction is read only"}
	}
	return fakeTx{fails: opts.Isolation != 0}, nil
}

func (c *fakeConn) Ping(ctx context.Context) error {
	if ctx.Value(failing{}) != nil {
		return &fakeError{"no answer"}
	}
	return nil
}

// failing is the key of contexts whose pings fail.
type failing struct{}

func (c *fakeConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := answer(ctx, query, false); err != nil {
		return nil, err
	}
	return &fakeRows{}, nil
}

func (c *fakeConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := answer(ctx, query, false); err != nil {
		return nil, err
	}
	return driver.RowsAffected(1), nil
}

type fakeTx struct{ fails bool }

func (t fakeTx) Commit() error {
	if t.fails {
		return &fakeError{"it cannot be committed"}
	}
	return nil
}
func (t fakeTx) Rollback() error { return nil }

type fakeStmt struct{ query string }

func (s *fakeStmt) Close() error  { return nil }
func (s *fakeStmt) NumInput() int { return -1 }

func (s *fakeStmt) Exec([]driver.Value) (driver.Result, error) {
	if err := answer(context.Background(), s.query, true); err != nil {
		return nil, err
	}
	return driver.RowsAffected(1), nil
}

func (s *fakeStmt) Query([]driver.Value) (driver.Rows, error) {
	if err := answer(context.Background(), s.query, true); err != nil {
		return nil, err
	}
	return &fakeRows{}, nil
}

type fakeRows struct{ read bool }

func (r *fakeRows) Columns() []string { return []string{"a"} }
func (r *fakeRows) Close() error      { return nil }

func (r *fakeRows) Next(to []driver.Value) error {
	if r.read {
		return io.EOF
	}
	r.read = true
	to[0] = int64(1)
	return nil
}

// A plainDriver has no more than a driver must have: all is prepared, and a ping reaches nobody.
type plainDriver struct{}

func (plainDriver) Open(string) (driver.Conn, error) { return &plainConn{}, nil }

type plainConn struct{ inner fakeConn }

func (c *plainConn) Prepare(query string) (driver.Stmt, error) { return c.inner.Prepare(query) }
func (c *plainConn) Close() error                              { return nil }
func (c *plainConn) Begin() (driver.Tx, error)                 { return fakeTx{}, nil }
