//go:build go1.22

//go:debug httpmuxgo121=0

package main

import (
	"io"
	"net/http"
)

// routes with the patterns of Go 1.22. go.mod says 1.19, so the directive above has to ask for them.
func routes(mux *http.ServeMux) {
	ok := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") }
	mux.HandleFunc("GET /users/{id}", ok)
	mux.HandleFunc("POST /orders", echo)
	mux.HandleFunc("/static/", ok)
	mux.HandleFunc("/plain", ok)
	mux.HandleFunc("GET /fail/{why...}", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) })
	mux.HandleFunc("GET example.com/hosted/{x}", ok)
	mux.Handle("/strip/", http.StripPrefix("/strip", http.HandlerFunc(ok)))
	mux.Handle("GET /clone/{id}", http.HandlerFunc(ok))
	mux.HandleFunc("GET /boom/{id}", func(http.ResponseWriter, *http.Request) { panic("on purpose") })
}
