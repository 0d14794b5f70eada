// Command demo is a small bookshop: the service that scripts/demo traces. It knows nothing of tracing.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"
)

var books = map[string]string{"1": "The Go Programming Language", "2": "BPF Performance Tools"}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /books", list)
	mux.HandleFunc("GET /books/{id}", show)
	mux.HandleFunc("POST /orders", order)
	mux.HandleFunc("GET /reports/{year}", report)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	server := &http.Server{Handler: mux}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	if err := server.Serve(l); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}

func list(w http.ResponseWriter, _ *http.Request) {
	time.Sleep(2 * time.Millisecond)
	_ = json.NewEncoder(w).Encode(books)
}

func show(w http.ResponseWriter, r *http.Request) {
	title, ok := books[r.PathValue("id")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	time.Sleep(5 * time.Millisecond)
	fmt.Fprintln(w, title)
}

func order(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	time.Sleep(12 * time.Millisecond)
	w.WriteHeader(http.StatusCreated)
}

func report(w http.ResponseWriter, _ *http.Request) {
	time.Sleep(20 * time.Millisecond)
	http.Error(w, "the report is not ready", http.StatusInternalServerError)
}
