// Command carries sends requests of every shape over HTTP/1.x to the server whose address is its argument, which keeps what it gets
// (tests/support/recorder.rs). Each case has a path of its own. What it sends is the same in each run, byte for byte.
//
// It prints "listening on http://ADDRESS", waits for a request for /go, runs all cases once, prints "done", and serves until SIGTERM. With a
// second argument, "thousand", it has other cases: a thousand requests with 40 headers each. A request for /relay/NAME has it send one for /NAME
// meanwhile, at any time.
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// own is the context of somebody else's trace.
const own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// The size of a connection's buffer, unless somebody has another, and of the header that strobe writes.
const buffer, line = 4096, 70

var server string

func main() {
	server = os.Args[1]
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	begin := make(chan struct{})
	var once sync.Once
	mux := http.NewServeMux()
	mux.HandleFunc("/go", func(http.ResponseWriter, *http.Request) { once.Do(func() { close(begin) }) })
	relays := &http.Transport{}
	mux.HandleFunc("/relay/", func(_ http.ResponseWriter, r *http.Request) {
		send(relays, request("GET", strings.TrimPrefix(r.URL.Path, "/relay"), nil).WithContext(r.Context()))
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go http.Serve(l, mux)
	fmt.Printf("listening on http://%s\n", l.Addr())
	select {
	case <-begin:
	case <-stop:
		return
	}
	if len(os.Args) > 2 && os.Args[2] == "thousand" {
		thousand()
	} else {
		ordinary()
		owned()
		rooms()
		again()
		shared()
		byHand()
		many()
	}
	fmt.Println("done")
	<-stop
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func request(method, path string, body io.Reader) *http.Request {
	req, err := http.NewRequest(method, "http://"+server+path, body)
	must(err)
	return req
}

func send(t http.RoundTripper, req *http.Request) {
	res, err := (&http.Client{Transport: t}).Do(req)
	must(err)
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
}

func get(t http.RoundTripper, path string) { send(t, request("GET", path, nil)) }

// fill gives a request so many headers, of different lengths.
func fill(req *http.Request, n int) *http.Request {
	for i := 0; i < n; i++ {
		req.Header.Set(fmt.Sprintf("X-Filler-%d", i), strings.Repeat(string(rune('a'+i%26)), i%17))
	}
	return req
}

func ordinary() {
	t := &http.Transport{}
	for i := 0; i < 3; i++ {
		get(t, fmt.Sprintf("/plain-%d", i))
	}
	for i := 0; i < 50; i++ {
		req := fill(request("GET", fmt.Sprintf("/forty-%d", i), nil), 40)
		req.Header["X-Twice"] = []string{"a", "b"}
		send(t, req)
	}
	send(t, fill(request("GET", "/hundred", nil), 100))
	large := request("GET", "/large", nil)
	large.Header.Set("X-Large", strings.Repeat("v", 6000))
	send(t, large)
	send(t, request("POST", "/post", strings.NewReader("a body")))
	send(t, request("POST", "/chunked", io.MultiReader(strings.NewReader("a body"), strings.NewReader(" and more"))))
	expects := request("POST", "/expects", strings.NewReader("a body"))
	expects.Header.Set("Expect", "100-continue")
	send(&http.Transport{ExpectContinueTimeout: 5 * time.Second}, expects)
	get(t, "/redirect")
	state := request("GET", "/state", nil)
	state.Header.Set("Tracestate", "a=1")
	send(t, state)
}

// owned has requests with a context of the program's own, in every spelling, and among others.
func owned() {
	t := &http.Transport{}
	for i, key := range []string{"Traceparent", "traceparent", "TRACEPARENT", "tRaCePaReNt"} {
		for _, others := range []int{0, 7, 40, 90} {
			req := fill(request("GET", fmt.Sprintf("/own-%d-%d", i, others), nil), others)
			req.Header[key] = []string{own}
			send(t, req)
		}
	}
	twice := request("GET", "/own-twice", nil)
	twice.Header["Traceparent"] = []string{own, own}
	send(t, twice)
	// No header comes of it.
	none := request("GET", "/own-none", nil)
	none.Header["Traceparent"] = nil
	send(t, none)
}

// rooms has requests that leave just room enough in the buffer, and those that do not.
func rooms() {
	t := &http.Transport{}
	before := len("GET / HTTP/1.1\r\nHost: " + server + "\r\nUser-Agent: Go-http-client/1.1\r\n")
	path := func(name string, free int) string {
		return "/" + name + "-" + strings.Repeat("x", buffer-free-before-len(name)-1)
	}
	get(t, path("room", line))
	get(t, path("no-room", line-1))
	get(&http.Transport{WriteBufferSize: 64}, "/no-room-at-all")
	// More than can be looked through.
	send(t, fill(request("GET", "/unread", nil), 400))
}

// again has a request that net/http sends once more over another connection.
func again() {
	t := &http.Transport{}
	get(t, "/closes")
	get(t, "/sent-again")
}

// shared has requests at the same time that have one header.
func shared() {
	t := &http.Transport{}
	header := http.Header{"X-Shared": {"yes"}}
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			for n := 0; n < 8; n++ {
				u, err := url.Parse(fmt.Sprintf("http://%s/shared-%d-%d", server, i, n))
				must(err)
				send(t, &http.Request{Method: "GET", URL: u, Header: header})
			}
		}(i)
	}
	all.Wait()
}

// byHand has requests that the program writes itself.
func byHand() {
	for _, name := range []string{"by-hand", "by-hand-buffered"} {
		c, err := net.Dial("tcp", server)
		must(err)
		req := request("GET", "/"+name, nil)
		if name == "by-hand" {
			must(req.Write(c))
		} else {
			w := bufio.NewWriter(c)
			must(req.Write(w))
			must(w.Flush())
		}
		res, err := http.ReadResponse(bufio.NewReader(c), req)
		must(err)
		res.Body.Close()
		c.Close()
	}
}

func many() {
	t := &http.Transport{MaxIdleConnsPerHost: 16}
	var all sync.WaitGroup
	for i := 0; i < 16; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			for n := 0; n < 16; n++ {
				send(t, fill(request("GET", fmt.Sprintf("/many-%d-%d", i, n), nil), n))
			}
		}(i)
	}
	all.Wait()
}
