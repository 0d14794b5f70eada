package main

import "net/http"

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	panic(http.ListenAndServeTLS("127.0.0.1:0", "cert", "key", nil))
}
