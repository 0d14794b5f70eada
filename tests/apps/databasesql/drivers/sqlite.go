package main

import _ "modernc.org/sqlite"

func init() {
	more = append(more, func() {
		db := open("sqlite", ":memory:")
		// Each connection has a database of its own.
		db.SetMaxOpenConns(1)
		_, err := db.Exec("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
		must(err)
		_, err = db.Exec("INSERT INTO people VALUES (?, ?)", 1, "secret")
		must(err)
		db.Exec("INSERT INTO people VALUES (1, 'secret')")
		must(rows(db.Query("SELECT name FROM people WHERE id = ?", 1)))
		rows(db.Query("SELECT name FROM missing"))
		s, err := db.Prepare("SELECT name FROM people WHERE name = ?")
		must(err)
		must(rows(s.Query("secret")))
		must(s.Close())
		tx, err := db.Begin()
		must(err)
		_, err = tx.Exec("UPDATE people SET name = 'other'")
		must(err)
		must(tx.Rollback())
		tx, err = db.Begin()
		must(err)
		_, err = tx.Exec("DELETE FROM people")
		must(err)
		must(tx.Commit())
		must(db.Ping())
		_, err = db.Exec("DROP TABLE people")
		must(err)
	})
}
