// Command otel_databasesql is OpenTelemetry's end-to-end application "databasesql", written anew: a table in SQLite, and statements of every
// kind, in the context of a span that is made by hand.
//
// It prints "ready", waits for SIGUSR1, runs all of them, and leaves.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"go.opentelemetry.io/otel"
	_ "modernc.org/sqlite"
)

// statements are run in the span's context. The last is none: SQLite refuses it.
var statements = []string{
	"SELECT * FROM contacts",
	"INSERT INTO contacts (first_name) VALUES ('Mike')",
	"UPDATE contacts SET last_name = 'Santa' WHERE first_name = 'Mike'",
	"DELETE FROM contacts WHERE first_name = 'Mike'",
	"DROP TABLE contacts",
	"syntax error",
}

func main() {
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	folder, err := os.MkdirTemp("", "strobe-otel")
	must(err)
	defer os.RemoveAll(folder)
	db, err := sql.Open("sqlite", filepath.Join(folder, "contacts"))
	must(err)
	defer db.Close()
	fmt.Println("ready")
	<-begin
	ctx, span := otel.Tracer("strobe.test/otel_databasesql").Start(context.Background(), "run")
	defer span.End()
	// Not in the span's context.
	for _, statement := range []string{
		"CREATE TABLE contacts (id INTEGER PRIMARY KEY, first_name TEXT, last_name TEXT)",
		"INSERT INTO contacts (first_name, last_name) VALUES ('Ada', 'Lovelace')",
	} {
		_, err := db.Exec(statement)
		must(err)
	}
	for n, statement := range statements {
		if err := query(ctx, db, statement); (err != nil) != (n == len(statements)-1) {
			panic(fmt.Sprintf("%s: %v", statement, err))
		}
	}
}

// query asks on a connection of its own, and reads what there is to read.
func query(ctx context.Context, db *sql.DB, statement string) error {
	conn, err := db.Conn(ctx)
	must(err)
	defer conn.Close()
	rows, err := conn.QueryContext(ctx, statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
