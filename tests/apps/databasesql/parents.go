package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"
)

// shared is what all requests ask.
var shared *sql.DB

// inside makes calls on behalf of a request; its path says how.
func inside(w http.ResponseWriter, r *http.Request) {
	table := strings.TrimPrefix(r.URL.Path, "/in/")
	query := "SELECT a FROM " + table
	switch {
	case table == "ok_background":
		rows(shared.Query(query))
	case table == "ok_goroutine":
		done := make(chan bool)
		go func() {
			defer close(done)
			rows(shared.Query(query))
		}()
		<-done
	case table == "ok_worker":
		done := make(chan bool)
		work <- func() {
			defer close(done)
			rows(shared.QueryContext(r.Context(), query))
		}
		<-done
	case table == "ok_tx":
		tx, err := shared.BeginTx(r.Context(), nil)
		must(err)
		tx.Exec("DELETE FROM ok_tx")
		must(tx.Commit())
	case table == "badonce_in":
		rows(shared.QueryContext(r.Context(), query))
	default:
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		rows(shared.QueryContext(ctx, query))
	}
}

// work is done by a goroutine that was there before all requests.
var work = make(chan func())

func init() {
	go func() {
		for f := range work {
			f()
		}
	}()
}

func parents(base string) {
	for _, table := range []string{"ok_context", "ok_background", "ok_goroutine", "ok_worker", "ok_tx", "badonce_in"} {
		get(base + "/in/" + table)
	}
}

func get(url string) {
	answer, err := http.Get(url)
	must(err)
	answer.Body.Close()
}

// load makes SQL_OPERATIONS requests by 64 callers, each with a query of its own number.
func load(base string) {
	count, err := strconv.Atoi(os.Getenv("SQL_OPERATIONS"))
	must(err)
	requests(base, count)
}

// profile writes a profile of what the tests do, and do often.
func profile(to, base string) {
	file, err := os.Create(to)
	must(err)
	must(pprof.StartCPUProfile(file))
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); {
		requests(base, 64)
		for n := 0; n < 5000; n++ {
			rows(shared.Query("SELECT a FROM ok_often"))
			shared.Exec("DELETE FROM ok_often")
		}
	}
	pprof.StopCPUProfile()
	must(file.Close())
}

func requests(base string, count int) {
	const callers = 64
	var group sync.WaitGroup
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = callers
	for i := 0; i < callers; i++ {
		group.Add(1)
		go func(first int) {
			defer group.Done()
			for n := first; n < count; n += callers {
				get(fmt.Sprintf("%s/in/ok_load_%d", base, n))
			}
		}(i)
	}
	group.Wait()
}
