//go:build go1.20

package main

import (
	"io"
	"net/http"
	"time"
)

// controlled answers by way of a http.ResponseController, and with ?hijack takes the connection over by it.
func controlled(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	if r.URL.RawQuery == "hijack" {
		conn, _, err := c.Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
		return
	}
	later := time.Now().Add(time.Minute)
	if c.SetReadDeadline(later) != nil || c.SetWriteDeadline(later) != nil {
		w.WriteHeader(http.StatusNotImplemented)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, "a piece\n")
	_ = c.Flush()
	io.WriteString(w, "another\n")
}
