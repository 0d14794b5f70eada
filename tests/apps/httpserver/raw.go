package main

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// rawHandlers are reached without a mux, by the word after the first slash pair: /raw/WORD, /nouri/WORD, ...
func rawHandlers() http.Handler {
	b := &barrier{}
	handlers := map[string]http.HandlerFunc{
		"status":     status,
		"nothing":    func(http.ResponseWriter, *http.Request) {},
		"early":      early,
		"echo":       echo,
		"panic":      func(http.ResponseWriter, *http.Request) { panic("on purpose") },
		"abort":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"panic200":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); panic("on purpose") },
		"panic502":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502); panic("on purpose") },
		"hijack":     hijack,
		"hijack-101": hijackAfterHeader,
		"goexit":     func(http.ResponseWriter, *http.Request) { runtime.Goexit() },
		"hijack-panic": func(w http.ResponseWriter, r *http.Request) {
			hijack(w, r)
			panic("on purpose")
		},
		"hijack-goexit": func(w http.ResponseWriter, r *http.Request) {
			hijack(w, r)
			runtime.Goexit()
		},
		"hijack-elsewhere": hijackElsewhere,
		"gc":               collect,
		"sleep":            sleep,
		"barrier":          b.wait,
		"wipe":             wipe,
		"gone":             gone,
		"push":             push,
		"too-late":         tooLate,
		"in-time":          inTime,
		"panic-in-time":    panicInTime,
		"short":            short,
		"proxy":            proxy,
		"stream":           stream,
		"websocket":        webSocket,
		"controlled":       controlled,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(strings.TrimLeft(r.URL.Path, "/"), "/")
		if len(parts) > 1 && handlers[parts[1]] != nil {
			handlers[parts[1]](w, r)
			return
		}
		io.WriteString(w, "ok\n")
	})
}

// status answers with ?code=.
func status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.URL.Query().Get("code"))
	if err != nil {
		code = 200
	}
	w.WriteHeader(code)
}

// early sends an informational answer before the real one.
func early(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusEarlyHints)
	w.WriteHeader(http.StatusAccepted)
}

func echo(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "%d\n", n)
}

// hijack takes the connection and answers by hand.
func hijack(w http.ResponseWriter, _ *http.Request) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
}

// hijackElsewhere lets another goroutine take the connection.
func hijackElsewhere(w http.ResponseWriter, r *http.Request) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		hijack(w, r)
	}()
	<-done
}

// collect frees what nothing points at, twice, and fills some of it again.
func collect(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	runtime.GC()
	for i := 0; i < 1000; i++ {
		_ = append([]byte(nil), make([]byte, 256)...)
	}
	io.WriteString(w, "collected\n")
}

// hijackAfterHeader switches protocols through the ResponseWriter, then takes the connection.
func hijackAfterHeader(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Upgrade", "strobe-test")
	w.Header().Set("Connection", "Upgrade")
	w.WriteHeader(http.StatusSwitchingProtocols)
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	c.Close()
}

func sleep(w http.ResponseWriter, r *http.Request) {
	ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
	time.Sleep(time.Duration(ms) * time.Millisecond)
	io.WriteString(w, "slept\n")
}

// gone waits until the client has left, and ?ms= longer; it answers nothing, or with ?status that it has accepted.
func gone(w http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
	time.Sleep(time.Duration(ms) * time.Millisecond)
	if r.URL.Query().Get("status") != "" {
		w.WriteHeader(http.StatusAccepted)
	}
}

// push sends an answer that nobody has asked for along with its own.
func push(w http.ResponseWriter, _ *http.Request) {
	if p, ok := w.(http.Pusher); !ok || p.Push("/raw/pushed", nil) != nil {
		w.WriteHeader(http.StatusNotImplemented)
		return
	}
	io.WriteString(w, "pushed\n")
}

// wipe empties the request's headers in place, as a handler may.
func wipe(w http.ResponseWriter, r *http.Request) {
	for k := range r.Header {
		delete(r.Header, k)
	}
	io.WriteString(w, "wiped\n")
}

// barrier holds requests until n of them are in flight: the test then knows that they were.
type barrier struct {
	mu      sync.Mutex
	waiting int
	open    chan struct{}
}

func (b *barrier) wait(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	b.mu.Lock()
	if b.open == nil {
		b.open = make(chan struct{})
	}
	open := b.open
	b.waiting++
	if b.waiting == n {
		b.waiting, b.open = 0, nil
		close(open)
	}
	b.mu.Unlock()
	select {
	case <-open:
		time.Sleep(200 * time.Millisecond)
		io.WriteString(w, "through\n")
	case <-time.After(15 * time.Second):
		w.WriteHeader(http.StatusGatewayTimeout)
	}
}
