package main

import (
	"net/http"

	"github.com/go-chi/chi/v5"
)

func main() {
	router := chi.NewRouter()
	router.Get("/{id}", func(w http.ResponseWriter, r *http.Request) { println(chi.RouteContext(r.Context()).RoutePattern()) })
	println(http.ListenAndServe("", router))
}
