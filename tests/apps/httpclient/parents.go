package main

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// what a worker is asked to do.
type job struct {
	ctx  context.Context
	name string
	done chan struct{}
}

var (
	jobs    = make(chan job)
	batch   = make(chan job, 16)
	flights flight
	direct  = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	outside sync.WaitGroup
)

// flight lets one caller work for all that want the same.
type flight struct {
	sync.Mutex
	done chan struct{}
}

type key struct{}

// parents asks for each /in/NAME, whose handler makes the call /case/NAME in some way.
func parents(at *place) {
	for i := 0; i < 2; i++ {
		go worker(at)
	}
	go batcher(at)
	// On one connection, one behind the other, so that goroutines and their ids are used again.
	c := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	for _, name := range []string{
		"own-context", "background", "derived-context", "deep-context", "worker", "worker-background", "started-context",
		"started-background", "started-twice", "other-context", "outlives-context", "outlives-background", "batched",
		"without-cancel", "without-cancel-outlives", "servers-value", "proxied", "after-all",
	} {
		get(c, "http://"+at.plain+"/in/"+name)
		// What outlives its handler is given the time to.
		outside.Wait()
	}
	// Two at once, one of which makes the call for both.
	var both sync.WaitGroup
	for _, name := range []string{"flight-1", "flight-2"} {
		both.Add(1)
		go func(name string) {
			defer both.Done()
			get(&http.Client{Transport: &http.Transport{}}, "http://"+at.plain+"/in/"+name)
		}(name)
	}
	both.Wait()
	// The caller's trace is not sampled: neither is what is done for it.
	req, _ := http.NewRequest("GET", "http://"+at.plain+"/in/unsampled", nil)
	req.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
	finish(c.Do(req))
	req, _ = http.NewRequest("GET", "http://"+at.plain+"/in/remote", nil)
	req.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	req.Header.Set("Tracestate", "vendor=1")
	finish(c.Do(req))
	// What a handler does for itself while many of them run at once.
	crowd := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	for i := 0; i < 32; i++ {
		both.Add(1)
		go func(i int) {
			defer both.Done()
			for n := 0; n < 8; n++ {
				name := "crowd-" + string(rune('a'+i/8)) + string(rune('a'+i%8)) + string(rune('a'+n))
				get(crowd, "http://"+at.plain+"/in/"+name)
			}
		}(i)
	}
	both.Wait()
}

func call(at *place, ctx context.Context, name string) {
	do(direct, ctx, "GET", "http://"+at.plain+"/case/"+name, nil)
}

func worker(at *place) {
	for j := range jobs {
		call(at, j.ctx, j.name)
		close(j.done)
	}
}

// batcher does what it was asked for a while later, all at once.
func batcher(at *place) {
	for j := range batch {
		time.Sleep(20 * slow * time.Millisecond)
		call(at, context.Background(), j.name)
		close(j.done)
	}
}

// later calls f in a goroutine when the handler has returned.
func later(f func()) {
	outside.Add(1)
	go func() {
		defer outside.Done()
		time.Sleep(50 * slow * time.Millisecond)
		f()
	}()
}

func inside(at *place, w http.ResponseWriter, r *http.Request) {
	ctx, name := r.Context(), strings.TrimPrefix(r.URL.Path, "/in/")
	bg := context.Background()
	wait := func(f func()) {
		done := make(chan struct{})
		go func() { defer close(done); f() }()
		<-done
	}
	switch name {
	case "background", "after-all":
		call(at, bg, name)
	case "derived-context":
		ctx, cancel := context.WithTimeout(context.WithValue(ctx, key{}, 1), time.Minute)
		defer cancel()
		call(at, ctx, name)
	case "deep-context":
		for i := 0; i < 20; i++ {
			ctx = context.WithValue(ctx, key{}, i)
		}
		done := make(chan struct{})
		jobs <- job{ctx, name, done}
		<-done
	case "worker", "worker-background", "servers-value":
		done := make(chan struct{})
		if name == "servers-value" {
			ctx = context.WithValue(ctx, http.LocalAddrContextKey, "another address")
		}
		if name == "worker-background" {
			ctx = bg
		}
		jobs <- job{ctx, name, done}
		<-done
	case "proxied":
		to := &url.URL{Scheme: "http", Host: at.plain}
		r.URL.Path = "/case/" + name
		httputil.NewSingleHostReverseProxy(to).ServeHTTP(w, r)
	case "started-context":
		wait(func() { call(at, ctx, name) })
	case "started-background":
		wait(func() { call(at, bg, name) })
	case "started-twice":
		wait(func() { wait(func() { call(at, bg, name) }) })
	case "other-context":
		// The context of a request that waits elsewhere, on this goroutine.
		answered := make(chan struct{})
		go func() {
			get(&http.Client{Transport: &http.Transport{}}, "http://"+at.plain+"/in/holds")
			close(answered)
		}()
		call(at, <-held, name)
		close(release)
		<-answered
	case "holds":
		held <- ctx
		<-release
	case "outlives-context":
		later(func() { call(at, ctx, name) })
	case "outlives-background":
		later(func() { call(at, bg, name) })
	case "batched":
		outside.Add(1)
		done := make(chan struct{})
		batch <- job{ctx, name, done}
		go func() { <-done; outside.Done() }()
	case "without-cancel":
		if ctx := withoutCancel(ctx); ctx != nil {
			wait(func() { call(at, ctx, name) })
		}
	case "without-cancel-outlives":
		if ctx := withoutCancel(ctx); ctx != nil {
			later(func() { call(at, ctx, name) })
		}
	case "flight-1", "flight-2":
		flights.Lock()
		if flights.done == nil {
			flights.done = make(chan struct{})
			flights.Unlock()
			time.Sleep(100 * slow * time.Millisecond)
			call(at, ctx, "flight")
			close(flights.done)
		} else {
			flights.Unlock()
			<-flights.done
		}
	default:
		call(at, ctx, name)
	}
}

// held is the context of a request that waits for its release.
var held, release = make(chan context.Context), make(chan struct{})
