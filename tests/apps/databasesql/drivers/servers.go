package main

import (
	"context"
	"database/sql"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"
)

// Each of these is the address of a server, where there is one.
func init() {
	if dsn := os.Getenv("SQL_POSTGRES"); dsn != "" {
		more = append(more, func() {
			asked(open("postgres", dsn), "pq", "$1")
			connector, err := pq.NewConnector(dsn)
			must(err)
			asked(sql.OpenDB(connector), "pq_connector", "$1")
			asked(open("pgx", dsn), "pgx", "$1")
			config, err := pgx.ParseConfig(dsn)
			must(err)
			asked(stdlib.OpenDB(*config), "pgx_connector", "$1")
		})
	}
	if dsn := os.Getenv("SQL_MYSQL"); dsn != "" {
		more = append(more, func() {
			asked(open("mysql", dsn), "mysql", "?")
			config, err := mysql.ParseDSN(dsn)
			must(err)
			connector, err := mysql.NewConnector(config)
			must(err)
			asked(sql.OpenDB(connector), "mysql_connector", "?")
		})
	}
}

// asked asks a database for the same by each driver, in tables named after it.
func asked(db *sql.DB, name, mark string) {
	ctx := context.Background()
	must(db.Ping())
	_, err := db.Exec("CREATE TABLE " + name + "_people (id INT PRIMARY KEY, name VARCHAR(20))")
	must(err)
	_, err = db.ExecContext(ctx, "INSERT INTO "+name+"_people VALUES (1, 'secret')")
	must(err)
	db.Exec("INSERT INTO " + name + "_people VALUES (1, 'secret')")
	must(rows(db.QueryContext(ctx, "SELECT name FROM "+name+"_people WHERE id = "+mark, 1)))
	rows(db.Query("SELECT name FROM " + name + "_missing"))
	tx, err := db.Begin()
	must(err)
	_, err = tx.Exec("UPDATE "+name+"_people SET name = "+mark, "other")
	must(err)
	must(tx.Commit())
	late, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if mark == "?" {
		db.ExecContext(late, "DO SLEEP(5)")
	} else {
		db.ExecContext(late, "SELECT pg_sleep(5)")
	}
	must(db.Close())
}
