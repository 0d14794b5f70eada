// Command forest is a service that calls itself and a second one, over HTTP/1.1, HTTP/2 and HTTP/2 without TLS, with net/http's clients and
// golang.org/x/net's, in all the ways in which a handler's work gets to other goroutines. It writes down what it does, request by request:
// who was called by whom, and what both saw. The tests hold the spans against that.
//
// It prints "listening on URL", waits for a request for /go, makes FOREST_REQUESTS requests with FOREST_CALLERS callers at once, waits
// until all are answered, prints "done", how many calls the callers have begun by themselves and in how many ms, and serves until SIGTERM.
// Asked for /go?first before, it makes the first eight of them over HTTP/2 without TLS, to itself, and prints "first". FOREST_PEER is the
// second service, which waits to be called. What it has done is in the file FOREST_LOG from the moment that it was asked for /written on.
package main

import (
	"context"
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
	begin := make(chan string)
	own := serve(begin)
	fmt.Printf("listening on http://%s\nplaces %s\n", own[plain], strings.Join(own, ","))
	places := [][]string{own}
	if peer := os.Getenv("FOREST_PEER"); peer != "" {
		places = append(places, strings.Split(peer, ","))
	}
	work = newWorkers(16)
	for how := "first"; how == "first"; {
		select {
		case how = <-begin:
		case <-stop:
			return
		}
		if how == "first" {
			for range 8 {
				callBy(ways[overClear], context.Background(), "-", 0, [][]string{own})
			}
			fmt.Println("first")
		}
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

func control(mux *http.ServeMux, begin chan string) {
	mux.HandleFunc("/go", func(_ http.ResponseWriter, r *http.Request) { begin <- r.URL.RawQuery })
	mux.HandleFunc("/written", func(w http.ResponseWriter, r *http.Request) {
		if err := written(os.Getenv("FOREST_LOG")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}
