//go:build !go1.22

package main

import (
	"io"
	"net/http"
)

// routes before patterns had methods and wildcards, and before a request carried its pattern.
func routes(mux *http.ServeMux) {
	ok := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }
	mux.HandleFunc("/users/", ok)
	mux.HandleFunc("/orders", echo)
	mux.HandleFunc("/static/", ok)
	mux.HandleFunc("/plain", ok)
	mux.HandleFunc("/fail/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) })
	mux.HandleFunc("example.com/hosted/", ok)
	mux.Handle("/strip/", http.StripPrefix("/strip", http.HandlerFunc(ok)))
	mux.Handle("/clone/", http.HandlerFunc(ok))
	mux.HandleFunc("/boom/", func(http.ResponseWriter, *http.Request) { panic("on purpose") })
}
