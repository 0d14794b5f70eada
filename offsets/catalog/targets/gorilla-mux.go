package main

import (
	"net/http"

	"github.com/gorilla/mux"
)

func main() {
	router := mux.NewRouter()
	router.HandleFunc("/{id}", func(w http.ResponseWriter, r *http.Request) { println(mux.CurrentRoute(r)) })
	println(http.ListenAndServe("", router))
}
