package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http2"
)

// way is a client and the place where it calls.
type way struct {
	client *http.Client
	scheme string
	place  int
}

var ways = makeWays()

// overClear is the way over HTTP/2 without TLS.
const overClear = 3

func makeWays() []way {
	insecure := &tls.Config{InsecureSkipVerify: true}
	within := &http.Transport{TLSClientConfig: insecure.Clone()}
	if err := http2.ConfigureTransport(within); err != nil {
		panic(err)
	}
	dial := func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	client := func(t http.RoundTripper) *http.Client { return &http.Client{Transport: t} }
	return []way{
		{client(&http.Transport{MaxIdleConnsPerHost: 256}), "http", plain},
		{client(&http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: insecure.Clone()}), "https", secure},
		{client(within), "https", secure},
		{client(&http2.Transport{AllowHTTP: true, DialTLSContext: dial}), "http", clear},
		{client(&http2.Transport{TLSClientConfig: insecure.Clone()}), "https", secure},
	}
}

var ids atomic.Int64

// call asks another node, in one of all ways, and notes it. parent is the id of the request whose handler it is made for, as the span's
// parent has to be: "-" is none.
func call(ctx context.Context, parent string, depth int, places [][]string) {
	callBy(ways[rand.IntN(len(ways))], ctx, parent, depth, places)
}

func callBy(way way, ctx context.Context, parent string, depth int, places [][]string) {
	id := fmt.Sprintf("%s-%d", name(), ids.Add(1))
	place := places[rand.IntN(len(places))]
	method, body := http.MethodGet, io.Reader(nil)
	if rand.IntN(4) == 0 {
		method, body = http.MethodPost, strings.NewReader("a body")
	}
	url := fmt.Sprintf("%s://%s/node/%s?depth=%d", way.scheme, place[way.place], id, depth)
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		panic(err)
	}
	if rand.IntN(4) == 0 {
		r.Header.Set("Traceparent", fmt.Sprintf("00-%016x%016x-%016x-01", 1+rand.Uint64N(1<<62), rand.Uint64(), 1+rand.Uint64N(1<<62)))
	}
	if len(places) == 2 {
		// The node that is called calls no other process than its own caller's: it knows no more.
		r.Header.Set("X-Places", strings.Join(places[0], ",")+";"+strings.Join(places[1], ","))
	} else {
		r.Header.Set("X-Places", strings.Join(places[0], ","))
	}
	res, err := way.client.Do(r)
	if err != nil {
		panic(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		panic(err)
	}
	res.Body.Close()
	called(id, parent, r, res)
	// It is answered whole: what its handler has left for later may begin.
	release(id)
}

func placesOf(r *http.Request) [][]string {
	var places [][]string
	for _, one := range strings.Split(r.Header.Get("X-Places"), ";") {
		places = append(places, strings.Split(one, ","))
	}
	return places
}
