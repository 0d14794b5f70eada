package main

import (
	"database/sql"

	_ "github.com/lib/pq"
)

func main() {
	db, err := sql.Open("postgres", "")
	println(err)
	rows, err := db.Query("")
	println(rows, err)
	result, err := db.Exec("")
	println(result, err)
}
