// Command nethttp is OpenTelemetry's end-to-end application of this name, written anew: a mux with one pattern, and one call to it whose
// URL has a user, a query and a fragment.
//
// It prints "listening on port N", waits for SIGUSR1, makes the call, prints "peer ADDRESS", as which the handler saw the caller, and
// leaves.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	mux := http.NewServeMux()
	mux.HandleFunc("/hello/{id}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) })
	go http.Serve(l, mux)
	fmt.Println("listening on port", port)
	<-begin
	res, err := http.Get(fmt.Sprintf("http://user@localhost:%d/hello/42?query=true#fragment", port))
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	peer, err := io.ReadAll(res.Body)
	if err != nil {
		panic(err)
	}
	fmt.Printf("peer %s\n", peer)
}
