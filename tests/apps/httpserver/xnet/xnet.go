package main

import (
	"net/http"
	"os"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

// What makes of httpserver a program with the HTTP/2 servers of golang.org/x/net beside the standard library's: it is compiled with
// the files of the folder above. X_NET says which of the listeners is x/net's, "tls" or "h2c"; the other stays as it is.
func init() {
	std := prepare
	prepare = func(s *http.Server) {
		h2 := &http2.Server{}
		switch os.Getenv("X_NET") {
		case "tls":
			if s.TLSConfig != nil {
				if err := http2.ConfigureServer(s, h2); err != nil {
					panic(err)
				}
				return
			}
		case "h2c":
			if s.TLSConfig == nil {
				s.Handler = h2c.NewHandler(s.Handler, h2)
				return
			}
		}
		std(s)
	}
}
