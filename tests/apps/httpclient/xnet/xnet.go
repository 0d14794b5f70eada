package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

// What makes of httpclient a program with the HTTP/2 client of golang.org/x/net beside the standard library's: it is compiled with the
// files of the folder above. Its cases come behind theirs.
func init() {
	prepare = func(at *place) {
		at.h2c = serve("tcp", "127.0.0.1:0", h2c.NewHandler(xNetHandler(at), &http2.Server{}), nil)
		at.held = serve("tcp", "127.0.0.1:0", xNetHandler(at), selfSigned())
		fmt.Printf("h2c %s\n", at.h2c)
	}
	more = func(at *place) {
		if atOnce > 0 {
			crowd(at)
			return
		}
		configured(at)
		alone(at)
		interrupted(at)
		together(at)
	}
	otherWays = func(at *place) map[string]*http.Client {
		return map[string]*http.Client{
			"http://" + at.h2c + "/case/loaded":            clear(),
			"https://" + at.secure + "/case/loaded?x-net=": {Transport: &http2.Transport{TLSClientConfig: insecure}},
		}
	}
}

var insecure = &tls.Config{InsecureSkipVerify: true}

// within is net/http's Transport with x/net's HTTP/2.
func within() *http.Client {
	t := &http.Transport{TLSClientConfig: insecure.Clone()}
	if err := http2.ConfigureTransport(t); err != nil {
		panic(err)
	}
	return &http.Client{Transport: t}
}

// clear is x/net's Transport without TLS.
func clear() *http.Client {
	return &http.Client{Transport: &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}}
}

// Who wants a connection that is new makes another.
var shared = clear()

// each makes the calls that every Transport has to get right, three of them on one connection in front.
func each(c *http.Client, base string) {
	get(c, base+"-first")
	get(c, base+"-second")
	get(c, base+"-third")
	get(c, base+"-not-found?status=404")
	do(c, context.Background(), "POST", base+"-post", strings.NewReader("a body"))
	get(c, base+"-redirected?redirects=1")
	get(c, base+"-aborted?abort=1")
	get(c, base+"-after-aborted")
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	do(c, ctx, "GET", base+"-cancelled?wait=1", nil)
	ctx, cancel = context.WithTimeout(context.Background(), 50*time.Millisecond)
	do(c, ctx, "GET", base+"-deadline?wait=1", nil)
	cancel()
	u, _ := url.Parse(base + "-empty-method")
	finish(c.Transport.RoundTrip(&http.Request{URL: u, Host: u.Host, Header: http.Header{}}))
}

func configured(at *place) {
	c := within()
	each(c, "https://"+at.secure+"/case/x-within")
	get(c, "http://"+at.plain+"/case/x-within-plain")
	get(c, "https://"+at.closed+"/case/x-within-refused")
	// A server that speaks HTTP/1.1 alone.
	old := &http.Server{Handler: http.HandlerFunc(answer), TLSConfig: selfSigned(), TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go old.ServeTLS(l, "", "")
	get(c, "https://"+l.Addr().String()+"/case/x-within-http1")
	get(c, "https://"+l.Addr().String()+"/case/x-within-http1-again")
	// One who gives the same header to one call after another: what sends nothing has no end.
	done, cancel := context.WithCancel(context.Background())
	cancel()
	req, _ := http.NewRequestWithContext(done, "GET", "http://"+at.h2c+"/case/x-tried-first", nil)
	finish(c.Do(req))
	req = req.WithContext(context.Background())
	req.URL.Path = "/case/x-tried-again"
	finish(shared.Do(req))
}

func alone(at *place) {
	each(clear(), "http://"+at.h2c+"/case/x-clear")
	each(&http.Client{Transport: &http2.Transport{TLSClientConfig: insecure.Clone()}}, "https://"+at.secure+"/case/x-alone")
	get(clear(), "http://"+at.closed+"/case/x-refused")
	get(&http.Client{Transport: &http2.Transport{}}, "https://"+at.secure+"/case/x-unknown-authority")
	get(&http.Client{Transport: adds{shared.Transport}}, "http://"+at.h2c+"/case/x-wrapped")
	// Of handlers: over HTTP/2 each is on a goroutine of its own.
	for _, name := range []string{"x-own-context", "x-background", "x-worker", "x-started-background", "x-within-own-context"} {
		get(shared, "http://"+at.h2c+"/in/"+name)
	}
}

func xNetHandler(at *place) http.Handler {
	inner := within()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/in/")
		if name == r.URL.Path {
			if strings.HasPrefix(name, "/case/x-held-") {
				hold()
			}
			answer(w, r)
			return
		}
		url := "http://" + at.h2c + "/case/" + name
		switch name {
		case "x-own-context":
			do(shared, r.Context(), "GET", url, nil)
		case "x-background":
			get(shared, url)
		case "x-worker":
			done := make(chan struct{})
			go func() {
				defer close(done)
				started := make(chan struct{})
				// Two goroutines away: by its context alone.
				go func() { defer close(started); do(shared, r.Context(), "GET", url, nil) }()
				<-started
			}()
			<-done
		case "x-started-background":
			done := make(chan struct{})
			go func() { defer close(done); get(shared, url) }()
			<-done
		case "x-within-own-context":
			do(inner, r.Context(), "GET", "https://"+at.secure+"/case/"+name, nil)
		}
	})
}

// interrupted has calls that never come back: what they leave behind is nobody else's.
func interrupted(at *place) {
	within, clear := within(), clear()
	base := map[*http.Client]string{within: "https://" + at.secure + "/case/x-within", clear: "http://" + at.h2c + "/case/x-clear"}
	for _, c := range []*http.Client{within, clear} {
		get(c, base[c]+"-before-panic")
		stopped(c, base[c]+"-panics", func() { panic("in a hook") })
		get(c, base[c]+"-after-panic")
		stopped(c, base[c]+"-panics", func() { panic("in a hook") })
	}
	// The other one's next call on this goroutine.
	get(clear, base[clear]+"-crossed")
	get(within, base[within]+"-crossed")
	for i := 0; i < 8; i++ {
		for _, c := range []*http.Client{within, clear} {
			done := make(chan struct{})
			go func(c *http.Client) {
				defer close(done)
				stopped(c, base[c]+"-exits", runtime.Goexit)
			}(c)
			<-done
			// Most likely on the same g.
			done = make(chan struct{})
			go func(c *http.Client, i int) {
				defer close(done)
				get(c, fmt.Sprintf("%s-after-exit-%d", base[c], i))
			}(c, i)
			<-done
		}
	}
}

// stopped makes a call that does something else as soon as it has a connection.
func stopped(c *http.Client, url string, stop func()) {
	defer func() { recover() }()
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { stop() }}
	do(c, httptrace.WithClientTrace(context.Background(), trace), "GET", url, nil)
}

// together has callers on fresh goroutines, whose stacks grow within their calls.
func together(at *place) {
	within, clear := within(), clear()
	var all sync.WaitGroup
	for i := 0; i < 32; i++ {
		for n := 0; n < 8; n++ {
			all.Add(1)
			go func(i, n int) {
				defer all.Done()
				get(within, fmt.Sprintf("https://%s/case/x-within-many-%d-%d", at.secure, i, n))
				get(clear, fmt.Sprintf("http://%s/case/x-clear-many-%d-%d", at.h2c, i, n))
			}(i, n)
		}
	}
	all.Wait()
}

// atOnce is how many calls of each kind are under way at once in crowd: more than there is room for, where a test wants that.
var (
	atOnce, _ = strconv.Atoi(os.Getenv("AT_ONCE"))
	arrived   sync.WaitGroup
)

// hold answers when all of them have come.
func hold() {
	arrived.Done()
	arrived.Wait()
}

func crowd(at *place) {
	within, clear := within(), clear()
	for _, kind := range []string{"within", "clear"} {
		arrived.Add(atOnce)
		var all sync.WaitGroup
		for i := 0; i < atOnce; i++ {
			all.Add(1)
			go func(i int) {
				defer all.Done()
				if kind == "within" {
					get(within, fmt.Sprintf("https://%s/case/x-held-within-%d", at.held, i))
					return
				}
				// What is done already sends nothing and has no end; the next call has the same header.
				done, cancel := context.WithCancel(context.Background())
				cancel()
				req, _ := http.NewRequestWithContext(done, "GET", fmt.Sprintf("http://%s/case/x-held-first-%d", at.h2c, i), nil)
				finish(within.Do(req))
				req = req.WithContext(context.Background())
				req.URL.Path = fmt.Sprintf("/case/x-held-clear-%d", i)
				finish(clear.Do(req))
			}(i)
		}
		all.Wait()
	}
}
