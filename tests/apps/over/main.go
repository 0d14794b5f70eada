// Command over makes requests over connections on which another request was sent before, and is over: through a tunnel, after an upgrade,
// by hand on a connection that net/http holds idle. Their paths begin with /nobody/, since no span of a client sends them. Beside them it makes
// calls, whose paths begin with /call/: while connections are closed and their descriptors' numbers used again, and by a goroutine that
// calls rarely, with more others between than strobe remembers.
//
// It prints a line when it is ready, waits for SIGUSR1, does all that, and leaves.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	each   = 5
	others = 36_000
)

func main() {
	log.SetOutput(io.Discard)
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	plain := httptest.NewServer(http.HandlerFunc(handle))
	hasty := httptest.NewUnstartedServer(http.HandlerFunc(handle))
	hasty.Config.IdleTimeout = 1500 * time.Microsecond
	hasty.Start()
	secure := httptest.NewUnstartedServer(http.HandlerFunc(handle))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	fmt.Println("ready")
	<-begin
	for i := 0; i < each; i++ {
		tunnel(plain.URL, i)
		upgrade(plain.URL, i)
		byHand(plain.URL, i)
	}
	closing(hasty.URL)
	rarely(secure.URL)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// handle answers, and serves what comes through a tunnel or after an upgrade on the same connection.
func handle(w http.ResponseWriter, r *http.Request) {
	upgrades := r.Header.Get("Upgrade") != ""
	if r.Method != http.MethodConnect && !upgrades {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	answer := "HTTP/1.1 200 OK\r\n\r\n"
	if upgrades {
		answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
	}
	buffered.WriteString(answer)
	buffered.Flush()
	go http.Serve(&once{conn: conn}, http.HandlerFunc(handle))
}

// once is a listener with one connection.
type once struct {
	sync.Mutex
	conn net.Conn
}

func (l *once) Accept() (net.Conn, error) {
	l.Lock()
	defer l.Unlock()
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	return nil, io.EOF
}
func (l *once) Close() error   { return nil }
func (l *once) Addr() net.Addr { return &net.TCPAddr{} }

// ask sends a request without net/http's client.
func ask(w io.Writer, r io.Reader, path string) {
	must(fmt.Fprintf(w, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path))
	res := must(http.ReadResponse(bufio.NewReader(r), nil))
	if res.StatusCode != http.StatusNoContent {
		panic(res.Status)
	}
}

func tunnel(url string, nth int) {
	reader, writer := io.Pipe()
	r := must(http.NewRequest(http.MethodConnect, url, reader))
	res := must(new(http.Transport).RoundTrip(r))
	ask(writer, res.Body, fmt.Sprintf("/nobody/tunnel-%d", nth))
	writer.Close()
	res.Body.Close()
}

func upgrade(url string, nth int) {
	r := must(http.NewRequest(http.MethodGet, url+"/call/upgrade-"+fmt.Sprint(nth), nil))
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "raw")
	res := must(new(http.Transport).RoundTrip(r))
	conn := res.Body.(io.ReadWriteCloser)
	ask(conn, conn, fmt.Sprintf("/nobody/upgrade-%d", nth))
	conn.Close()
}

// byHand sends a request over a copy of the descriptor of a connection that has carried a call, as a child that inherits it could.
func byHand(url string, nth int) {
	var dialled *net.TCPConn
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			dialled = conn.(*net.TCPConn)
		}
		return conn, err
	}}
	call(&http.Client{Transport: transport}, fmt.Sprintf("%s/call/by-hand-%d", url, nth))
	file := must(dialled.File())
	must(fmt.Fprintf(file, "GET /nobody/by-hand-%d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", nth))
	// net/http reads the answer that it has not asked for, and closes the connection.
	time.Sleep(20 * time.Millisecond)
	file.Close()
}

func call(client *http.Client, url string) {
	res, err := client.Get(url)
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
}

// closing calls a server that closes idle connections about as often as they are used, beside calls that dial anew.
func closing(url string) {
	end := time.Now().Add(4 * time.Second)
	var all sync.WaitGroup
	caller := func(name string, client *http.Client, most time.Duration) {
		defer all.Done()
		for nth := 0; time.Now().Before(end); nth++ {
			call(client, fmt.Sprintf("%s/call/%s-%d", url, name, nth))
			time.Sleep(most * time.Duration(nth%8) / 8)
		}
	}
	for i := 0; i < 16; i++ {
		all.Add(2)
		go caller(fmt.Sprintf("keep-%d", i), &http.Client{Transport: &http.Transport{}}, 4*time.Millisecond)
		short := &http.Transport{DisableKeepAlives: true}
		go caller(fmt.Sprintf("short-%d", i), &http.Client{Transport: short}, 4*time.Millisecond)
	}
	all.Wait()
}

// rarely calls over HTTP/2, has many others call, and calls again, on one goroutine.
func rarely(url string) {
	anybody := &tls.Config{InsecureSkipVerify: true}
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: anybody}}
	call(client, url+"/call/rarely-before")
	places := make(chan struct{}, 64)
	var all sync.WaitGroup
	for i := 0; i < others; i++ {
		places <- struct{}{}
		all.Add(1)
		go func(nth int) {
			defer all.Done()
			call(client, fmt.Sprintf("%s/call/other-%d", url, nth))
			<-places
		}(i)
	}
	all.Wait()
	for i := 0; i < each; i++ {
		call(client, fmt.Sprintf("%s/call/rarely-%d", url, i))
	}
}
