//go:build !go1.20

package main

import "net/http"

// There is no http.ResponseController before Go 1.20.
func controlled(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) }
