// Command databasesql makes every kind of call of database/sql that the end-to-end tests expect a span of, by drivers of its own that fail
// in the ways in which drivers do. Each call has a table of its own, by which the tests know its span. It uses the standard library
// alone and builds with Go 1.19 and later.
//
// With SQL_RETRIED=N it makes that many queries of which each gets a good connection at its third, and nothing else.
// With -slow N every limit is N times as long, for machines on which everything is. With SQL_PROFILE=FILE it asks for some seconds as often as it can, writes a profile of that, and ends. Otherwise
// it prints "listening on URL", waits for a request for /go, runs all cases once, prints "done", and serves until SIGTERM.
package main

import (
	"database/sql"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// more has the cases of drivers that not every build has.
var more []func()

var slow time.Duration

func main() {
	times := flag.Int("slow", 1, "how many times as long everything may take")
	flag.Parse()
	slow = time.Duration(*times)
	log.SetOutput(io.Discard)
	shared = open("fake", "shared")
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	begin := make(chan struct{})
	mux := http.NewServeMux()
	var once sync.Once
	mux.HandleFunc("/go", func(http.ResponseWriter, *http.Request) { once.Do(func() { close(begin) }) })
	mux.HandleFunc("/in/", inside)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go func() { must(http.Serve(l, mux)) }()
	if file := os.Getenv("SQL_PROFILE"); file != "" {
		profile(file, "http://"+l.Addr().String())
		return
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	select {
	case <-begin:
	case <-stop:
		return
	}
	base := "http://" + l.Addr().String()
	switch {
	case os.Getenv("SQL_RETRIED") != "":
		retried()
	case os.Getenv("SQL_OPERATIONS") != "":
		load(base)
	case len(more) > 0:
		for _, each := range more {
			each()
		}
	default:
		plain()
		parents(base)
	}
	fmt.Println("done")
	<-stop
}

// retried makes queries that are tried three times, whose garbage is collected and which are preempted meanwhile.
func retried() {
	n, err := strconv.Atoi(os.Getenv("SQL_RETRIED"))
	must(err)
	db := open("fake", "")
	for i := 0; i < n; i++ {
		must(rows(db.Query("SELECT a FROM badtwice_" + strconv.Itoa(i))))
	}
}

func open(driver, dsn string) *sql.DB {
	db, err := sql.Open(driver, dsn)
	must(err)
	return db
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// rows reads all rows, as whoever asks for them has to.
func rows(r *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
	}
	return r.Err()
}
