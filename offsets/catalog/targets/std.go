package main

import (
	"context"
	"crypto/tls"
	"database/sql"
	"net"
	"net/http"
	"time"
)

func main() {
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), "k", 1), time.Second)
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, "GET", "https://user@example.org/", nil)
	response, err := http.DefaultClient.Do(request)
	println(response, err)
	db, err := sql.Open("driver", "")
	println(db, err)
	tx, err := db.BeginTx(ctx, nil)
	println(tx, err)
	statement, err := db.PrepareContext(ctx, "")
	println(statement, err)
	rows, err := statement.QueryContext(ctx)
	println(rows, err)
	result, err := statement.ExecContext(ctx)
	println(result, err)
	rows, err = db.QueryContext(ctx, "")
	println(rows, err)
	result, err = db.ExecContext(ctx, "")
	println(result, err)
	session, err := db.Conn(ctx)
	println(session, err)
	result, err = tx.ExecContext(ctx, "")
	println(result, err, tx.Commit(), tx.Rollback())
	unix, err := net.Dial("unix", "/")
	println(unix, err)
	conn, err := tls.Dial("tcp", "", nil)
	println(conn, err)
	go func() { done := make(chan int); <-done }()
	select {}
}
