package main

import (
	"context"
	"database/sql"
	"time"
)

// plain makes each kind of call once, on a goroutine that works for nobody.
func plain() {
	db := open("fake", "anything")
	ctx := context.Background()
	rows(db.Query("SELECT a FROM ok_query WHERE id = 42"))
	rows(db.QueryContext(ctx, "SELECT a FROM ok_query_context WHERE name = 'secret'", 1))
	var a int
	must(db.QueryRow("SELECT a FROM ok_query_row").Scan(&a))
	_, err := db.Exec("INSERT INTO ok_exec VALUES (1, 'secret')")
	must(err)
	_, err = db.ExecContext(ctx, "UPDATE ok_exec_context SET a = 'secret'", 2)
	must(err)
	rows(db.Query("SELECT a FROM skip_query WHERE id = ?", 1))
	db.Exec("DELETE FROM skip_exec WHERE id = ?", 1)
	must(db.Ping())
	db.PingContext(context.WithValue(ctx, failing{}, true))
	failures(ctx, db)
	statements(ctx, db)
	transactions(ctx, db)
	connections(ctx, db)
	must(db.Close())

	bare := open("plain", "")
	rows(bare.Query("SELECT a FROM plain_query"))
	bare.Exec("DELETE FROM plain_exec")
	rows(bare.Query("SELECT a FROM unpreparable"))
	bare.Exec("DELETE FROM unpreparable")
	must(bare.Ping())
	bare.Exec("DELETE FROM plain_after_ping")
	must(bare.Close())
}

func failures(ctx context.Context, db *sql.DB) {
	for _, table := range []string{"badonce", "badtwice", "badwrapped", "badalways", "badfails", "fails", "wrapped", "text"} {
		rows(db.Query("SELECT a FROM " + table + "_query"))
		db.Exec("DELETE FROM " + table + "_exec")
	}
	// An argument that no driver takes: nothing is sent.
	rows(db.Query("SELECT a FROM not_sent", struct{ a func() }{}))
	rows(db.Query("SELECT a FROM ok_after_not_sent"))
	cancelled, cancel := context.WithCancel(ctx)
	time.AfterFunc(slow*20*time.Millisecond, cancel)
	rows(db.QueryContext(cancelled, "SELECT a FROM waits_cancelled"))
	late, cancel := context.WithTimeout(ctx, slow*20*time.Millisecond)
	defer cancel()
	db.ExecContext(late, "DELETE FROM waits_deadline")
	panicking(func() { rows(db.Query("SELECT a FROM panics_query")) })
	rows(db.Query("SELECT a FROM ok_after_panic"))
	// No SQL that anybody can tell the summary of.
	db.Exec("frobnicate")
}

func panicking(f func()) {
	defer func() { recover() }()
	f()
}

func statements(ctx context.Context, db *sql.DB) {
	s, err := db.Prepare("SELECT a FROM ok_stmt_query WHERE id = ?")
	must(err)
	rows(s.Query(1))
	rows(s.QueryContext(ctx, 2))
	s.Close()
	s, err = db.PrepareContext(ctx, "DELETE FROM ok_stmt_exec")
	must(err)
	s.Exec()
	s.Close()
	s, err = db.Prepare("DELETE FROM fails_stmt")
	must(err)
	s.Exec()
	s.Close()
	s, err = db.Prepare("SELECT a FROM badonce_stmt")
	must(err)
	rows(s.Query())
	s.Close()
	s, err = db.Prepare("SELECT a FROM badalways_stmt")
	must(err)
	rows(s.Query())
	s.Close()
	db.Prepare("SELECT a FROM unpreparable")
}

func transactions(ctx context.Context, db *sql.DB) {
	tx, err := db.Begin()
	must(err)
	rows(tx.Query("SELECT a FROM ok_tx_query"))
	tx.Exec("DELETE FROM ok_tx_exec")
	s, err := tx.Prepare("SELECT a FROM ok_tx_stmt")
	must(err)
	rows(s.Query())
	must(tx.Commit())
	// It is over: nothing is sent.
	tx.Rollback()
	tx.Commit()

	tx, err = db.BeginTx(ctx, nil)
	must(err)
	tx.ExecContext(ctx, "DELETE FROM fails_tx")
	must(tx.Rollback())

	tx, err = db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	must(err)
	tx.Commit()
	db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})

	// What failed on a bad connection is not tried again in a transaction, but by its caller: each is a call.
	tx, err = db.Begin()
	must(err)
	for i := 0; i < 2; i++ {
		tx.Exec("DELETE FROM badalways_tx")
	}
	tx.Rollback()
}

func connections(ctx context.Context, db *sql.DB) {
	c, err := db.Conn(ctx)
	must(err)
	rows(c.QueryContext(ctx, "SELECT a FROM ok_conn_query"))
	c.ExecContext(ctx, "DELETE FROM ok_conn_exec")
	must(c.PingContext(ctx))
	must(c.Close())
}
