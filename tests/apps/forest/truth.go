package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
)

// truth is what has been done: a line for each call and one for each request served, words between tabs.
var truth struct {
	sync.Mutex
	lines []string
}

func note(words ...string) {
	line := strings.Join(words, "\t")
	truth.Lock()
	truth.lines = append(truth.lines, line)
	truth.Unlock()
}

// called notes a call: its id, whose handler it was made for (none: "-"), and what came of it.
func called(id, parent string, r *http.Request, res *http.Response) {
	version := "1.1"
	if res.ProtoMajor == 2 {
		version = "2"
	}
	note("call", id, parent, r.Method, r.URL.String(), r.URL.Hostname(), r.URL.Port(), fmt.Sprint(res.StatusCode), version)
}

// served notes a request: its id, and what its handler saw and answered.
func served(id string, r *http.Request, status int) {
	version, scheme := "1.1", "http"
	if r.ProtoMajor == 2 {
		version = "2"
	}
	if r.TLS != nil {
		scheme = "https"
	}
	traceparent := r.Header.Get("Traceparent")
	if traceparent == "" {
		traceparent = "-"
	}
	note("served", id, traceparent, r.Method, r.URL.Path, r.URL.RawQuery, scheme, r.Host, r.RemoteAddr, r.UserAgent(), fmt.Sprint(status), version)
}

func written(file string) error {
	truth.Lock()
	defer truth.Unlock()
	return os.WriteFile(file, []byte(strings.Join(truth.lines, "\n")+"\n"), 0o644)
}
