// Command nethttp_custom is OpenTelemetry's end-to-end application of this name, written anew: what nethttp is, with a ResponseWriter of
// its own that remembers the status, and a RoundTripper of its own that adds a header around its own http.Transport.
//
// It prints "listening on port N", waits for SIGUSR1, makes the call, prints "status N" and "peer ADDRESS", what the middleware has
// remembered and as which the handler saw the caller, and leaves.
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

type remembers struct {
	http.ResponseWriter
	status int
}

func (w *remembers) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func remembering(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := &remembers{ResponseWriter: w}
		h.ServeHTTP(own, r)
		fmt.Println("status", own.status)
	})
}

type adds struct{ to *http.Transport }

func (a adds) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Custom", "yes")
	return a.to.RoundTrip(r)
}

func main() {
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	mux := http.NewServeMux()
	mux.HandleFunc("/hello/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Custom") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusOK)
		fmt.Fprint(w, r.RemoteAddr)
	})
	go http.Serve(l, remembering(mux))
	fmt.Println("listening on port", port)
	<-begin
	client := &http.Client{Transport: adds{&http.Transport{}}}
	res, err := client.Get(fmt.Sprintf("http://user@localhost:%d/hello/42?query=true#fragment", port))
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
