//go:build !go1.24

package main

import "net/http"

// HTTP/2 without TLS needs golang.org/x/net before Go 1.24: only the TLS listener has HTTP/2.
func allowHTTP2WithoutTLS(*http.Server) {}
