package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

// The handlers that net/http itself wraps around others, and the ways of answering beside a Write: raw.go has their names.

// tooLate is answered for by http.TimeoutHandler: its own handler ends after that.
func tooLate(w http.ResponseWriter, r *http.Request) {
	answered := make(chan struct{})
	defer close(answered)
	late := func(http.ResponseWriter, *http.Request) { <-answered }
	http.TimeoutHandler(http.HandlerFunc(late), 20*time.Millisecond, "too late\n").ServeHTTP(w, r)
}

// inTime answers within the time that it is given.
func inTime(w http.ResponseWriter, r *http.Request) {
	http.TimeoutHandler(http.HandlerFunc(echo), time.Minute, "too late\n").ServeHTTP(w, r)
}

// panicInTime panics on another goroutine, from where http.TimeoutHandler carries it to the request's.
func panicInTime(w http.ResponseWriter, r *http.Request) {
	boom := func(http.ResponseWriter, *http.Request) { panic("on purpose") }
	http.TimeoutHandler(http.HandlerFunc(boom), time.Minute, "too late\n").ServeHTTP(w, r)
}

// short takes bodies of four bytes.
func short(w http.ResponseWriter, r *http.Request) {
	http.MaxBytesHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		io.WriteString(w, "short\n")
	}), 4).ServeHTTP(w, r)
}

// proxy is a httputil.ReverseProxy before a server that answers, or with ?breaks sends three bytes of ten: then it gives up by
// http.ErrAbortHandler. There is no http.Transport in between, so that no call is made.
func proxy(w http.ResponseWriter, r *http.Request) {
	p := &httputil.ReverseProxy{Director: func(*http.Request) {}, Transport: upstream{}, ErrorLog: log.New(io.Discard, "", 0)}
	p.ServeHTTP(w, r)
}

type upstream struct{}

func (upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	body := io.Reader(strings.NewReader("0123456789"))
	if r.URL.RawQuery == "breaks" {
		body = io.MultiReader(strings.NewReader("012"), broken{})
	}
	return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: http.Header{"Content-Length": {"10"}},
		ContentLength: 10, Body: io.NopCloser(body)}, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the upstream is gone") }

// stream answers in pieces, each of which is sent by itself.
func stream(w http.ResponseWriter, _ *http.Request) {
	for i := 0; i < 3; i++ {
		io.WriteString(w, "a piece\n")
		w.(http.Flusher).Flush()
	}
}

// connect is what a proxy does for CONNECT: it takes the connection over, or says no. Over HTTP/2 there is only a stream.
func connect(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Host, "refused.") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	hijack(w, r)
}

// webSocket answers a handshake by RFC 6455, section 4.2.2, as WebSocket libraries do, and sends the client's first frame back.
func webSocket(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	c, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	if text, err := unmasked(buffered.Reader); err == nil {
		c.Write(append([]byte{0x81, byte(len(text))}, text...))
	}
}

// unmasked reads a short text frame.
func unmasked(from *bufio.Reader) ([]byte, error) {
	head := make([]byte, 6)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	text := make([]byte, head[1]&0x7f)
	_, err := io.ReadFull(from, text)
	for i := range text {
		text[i] ^= head[2+i%4]
	}
	return text, err
}
