package main

import (
	"database/sql"

	_ "github.com/go-sql-driver/mysql"
)

func main() {
	db, err := sql.Open("mysql", "")
	println(err)
	rows, err := db.Query("")
	println(rows, err)
	result, err := db.Exec("")
	println(result, err)
}
