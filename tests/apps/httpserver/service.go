package main

import (
	"context"
	"net/http"
	"strings"
)

// service sorts requests by the first part of their path: what stands around a mux decides what a tracer can see of it.
type service struct {
	mux *http.ServeMux
	raw http.Handler
}

func newService() http.Handler {
	mux := http.NewServeMux()
	routes(mux)
	return &service{mux: mux, raw: rawHandlers()}
}

type key struct{}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect { // for another host: there is no path
		connect(w, r)
		return
	}
	switch first(r.URL.Path) {
	case "clone": // middleware that hands on a copy: the mux writes its pattern there
		r2 := r.WithContext(context.WithValue(r.Context(), key{}, 1))
		s.mux.ServeHTTP(w, r2)
	case "nouri": // middleware that changes the request in place
		r.RequestURI = ""
		s.raw.ServeHTTP(w, r)
	case "override": // the same, for the method
		r.Method = http.MethodPut
		s.raw.ServeHTTP(w, r)
	case "realip": // the same, for the client's address
		r.RemoteAddr = "203.0.113.9:4711"
		s.raw.ServeHTTP(w, r)
	case "raw":
		s.raw.ServeHTTP(w, r)
	default:
		s.mux.ServeHTTP(w, r)
	}
}

func first(path string) string {
	path = strings.TrimLeft(path, "/")
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return path
}
