// Command forest is a service that calls itself and a second one, over HTTP/1.1, HTTP/2 and HTTP/2 without TLS, with net/http's clients and
// golang.org/x/net's, in all the ways in which a handler's work gets to other goroutines. It writes down what it does, request by request:
// who was called by whom, and what both saw. The tests hold the spans against that.
//
// It prints "listening on URL", waits for a request for /go, makes FOREST_REQUESTS requests with FOREST_CALLERS callers at once, waits
// until all are answered, prints "done", how many calls the callers have begun by themselves and in how many ms, and serves until SIGTERM. FOREST_PEER is the second service, which waits to be called. What it
// has done is in the file FOREST_LOG from the moment that it was asked for /written on.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetOutput(io.Discard)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	begin := make(chan struct{})
	own := serve(begin)
	fmt.Printf("listening on http://%s\nplaces %s\n", own[plain], strings.Join(own, ","))
	places := [][]string{own}
	if peer := os.Getenv("FOREST_PEER"); peer != "" {
		places = append(places, strings.Split(peer, ","))
	}
	work = newWorkers(16)
	select {
	case <-begin:
	case <-stop:
		return
	}
	start := time.Now()
	made := drive(places, number("FOREST_REQUESTS", 1000), number("FOREST_CALLERS", 64), number("FOREST_RATE", 0))
	fmt.Printf("done %d %d\n", made, time.Since(start).Milliseconds())
	<-stop
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// name tells the two processes' requests apart.
func name() string { return os.Getenv("FOREST_NAME") }

// isOwn says whether this process has made that request.
func isOwn(id string) bool { return strings.HasPrefix(id, name()+"-") }

func control(mux *http.ServeMux, begin chan struct{}) {
	mux.HandleFunc("/go", func(http.ResponseWriter, *http.Request) { close(begin) })
	mux.HandleFunc("/written", func(w http.ResponseWriter, r *http.Request) {
		if err := written(os.Getenv("FOREST_LOG")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}
