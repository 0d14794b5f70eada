// Command httpclient makes every kind of round trip that the end-to-end tests expect a span of: servers and clients are one
// program, on loopback. Each case has a path of its own, by which the tests know its spans. It uses the standard library alone
// and builds with Go 1.19 and later.
//
// With -slow N every limit and every wait is N times as long, for machines on which everything is. With -cpuprofile FILE it makes calls
// for some seconds in place of the cases, writes a CPU profile of that, and leaves.
//
// It prints "listening on URL", waits for a request for /go, runs all cases once, prints "done", and serves until SIGTERM.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// place is where the servers are.
type place struct{ plain, secure, dead, closed, resets, unix, h2c, held string }

// prepare starts servers that not every build has, and more has the cases for them.
var prepare, more = func(*place) {}, func(*place) {}

var slow time.Duration

func main() {
	times := flag.Int("slow", 1, "how many times as long everything may take")
	profile := flag.String("cpuprofile", "", "write a CPU profile of a load to this `file`, and leave")
	flag.Parse()
	slow = time.Duration(*times)
	log.SetOutput(io.Discard)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	begin := make(chan struct{})
	at := servers(begin)
	if *profile != "" {
		loaded(at, *profile)
		return
	}
	fmt.Printf("listening on http://%s\nlistening on https://%s\n", at.plain, at.secure)
	fmt.Printf("dead %s\nclosed %s\nresets %s\n", at.dead, at.closed, at.resets)
	select {
	case <-begin:
	case <-stop:
		return
	}
	// How many calls at once, or hooks that call: those alone.
	switch {
	case os.Getenv("HOOKS") != "":
		hooks(at)
	case os.Getenv("AT_ONCE") == "":
		plain(at)
		failing(at)
		secure(at)
		many(at)
		parents(at)
	}
	more(at)
	fmt.Println("done")
	<-stop
}

func servers(begin chan struct{}) *place {
	at := &place{}
	mux := http.NewServeMux()
	var once sync.Once
	mux.HandleFunc("/go", func(http.ResponseWriter, *http.Request) { once.Do(func() { close(begin) }) })
	mux.HandleFunc("/case/", answer)
	mux.HandleFunc("/in/", func(w http.ResponseWriter, r *http.Request) { inside(at, w, r) })
	at.plain = serve("tcp", "127.0.0.1:0", mux, nil)
	at.secure = serve("tcp", "127.0.0.1:0", mux, selfSigned())
	// A name that is in no file system.
	at.unix = serve("unix", fmt.Sprintf("@strobe-httpclient-%d", os.Getpid()), mux, nil)
	at.dead = listen(deadAfterOne)
	at.resets = listen(reset)
	at.closed = nobody()
	prepare(at)
	return at
}

func serve(network, addr string, h http.Handler, cert *tls.Config) string {
	l, err := net.Listen(network, addr)
	if err != nil {
		panic(err)
	}
	s := &http.Server{Handler: h, TLSConfig: cert}
	if cert != nil {
		go s.ServeTLS(l, "", "")
	} else {
		go s.Serve(l)
	}
	return l.Addr().String()
}

// answer does what the path and the query ask for.
func answer(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if n, _ := strconv.Atoi(q.Get("redirects")); n > 0 {
		http.Redirect(w, r, fmt.Sprintf("%s?redirects=%d", r.URL.Path, n-1), http.StatusFound)
		return
	}
	if q.Get("abort") != "" {
		panic(http.ErrAbortHandler)
	}
	if q.Get("wait") != "" {
		select {
		case <-r.Context().Done():
		case <-time.After(5 * slow * time.Second):
		}
	}
	io.Copy(io.Discard, r.Body)
	if code, _ := strconv.Atoi(q.Get("status")); code > 0 {
		w.WriteHeader(code)
	}
}

// listen serves connections by hand.
func listen(each func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go each(c)
		}
	}()
	return l.Addr().String()
}

// nobody is an address at which nobody listens.
func nobody() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func header(c net.Conn) bool {
	c.SetReadDeadline(time.Now().Add(5 * slow * time.Second))
	var text []byte
	one := make([]byte, 1)
	for {
		if _, err := c.Read(one); err != nil {
			return false
		}
		text = append(text, one[0])
		if n := len(text); n >= 4 && string(text[n-4:]) == "\r\n\r\n" {
			return true
		}
	}
}

// deadAfterOne answers one request, and closes the connection when the next has come.
func deadAfterOne(c net.Conn) {
	defer c.Close()
	if header(c) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		header(c)
	}
}

// reset answers with a reset.
func reset(c net.Conn) {
	header(c)
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

func do(c *http.Client, ctx context.Context, method, url string, body io.Reader) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		panic(err)
	}
	finish(c.Do(req))
}

func finish(res *http.Response, err error) {
	if err == nil {
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

func get(c *http.Client, url string) { do(c, context.Background(), "GET", url, nil) }
