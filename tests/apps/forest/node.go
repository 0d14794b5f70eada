package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

type key struct{}

var statuses = []int{200, 200, 200, 200, 204, 404, 503}

// node serves a request: it makes calls while its depth allows it, in ways that lead to it as their parent or to nobody.
func node(w http.ResponseWriter, r *http.Request) {
	id, places := r.PathValue("id"), placesOf(r)
	depth, _ := strconv.Atoi(r.URL.Query().Get("depth"))
	io.Copy(io.Discard, r.Body)
	if depth > 0 {
		for i := rand.IntN(3); i >= 0; i-- {
			further[rand.IntN(len(further))](r.Context(), id, depth-1, places)
		}
	}
	status := statuses[rand.IntN(len(statuses))]
	served(id, r, status)
	w.WriteHeader(status)
}

// further are the ways in which a handler's work goes on. What is handed to workers calls leaves alone, so that no worker waits for
// another.
var further = []func(ctx context.Context, id string, depth int, places [][]string){
	// By the context, or by the goroutine.
	func(ctx context.Context, id string, depth int, places [][]string) { call(ctx, id, depth, places) },
	func(_ context.Context, id string, depth int, places [][]string) {
		call(context.Background(), id, depth, places)
	},
	func(ctx context.Context, id string, depth int, places [][]string) {
		ctx, cancel := context.WithTimeout(context.WithValue(ctx, key{}, id), time.Minute)
		defer cancel()
		call(ctx, id, depth, places)
	},
	// On goroutines of its own, several at once.
	func(ctx context.Context, id string, depth int, places [][]string) {
		at(2, func() { call(ctx, id, depth, places) })
	},
	func(_ context.Context, id string, depth int, places [][]string) {
		at(2, func() { call(context.Background(), id, depth, places) })
	},
	// Two goroutines away: nobody knows, but by the context.
	func(_ context.Context, _ string, depth int, places [][]string) {
		at(1, func() { at(1, func() { call(context.Background(), "-", depth, places) }) })
	},
	func(ctx context.Context, id string, depth int, places [][]string) {
		at(1, func() { at(1, func() { call(ctx, id, depth, places) }) })
	},
	// By workers, with the context of the request and without, and with one that outlives it.
	func(ctx context.Context, id string, _ int, places [][]string) {
		work.do(func() { call(ctx, id, 0, places) })
	},
	func(_ context.Context, _ string, _ int, places [][]string) {
		work.do(func() { call(context.Background(), "-", 0, places) })
	},
	func(ctx context.Context, id string, _ int, places [][]string) {
		ctx = context.WithoutCancel(ctx)
		work.do(func() { call(ctx, id, 0, places) })
	},
	// When the handler has returned, and its caller has all of the answer.
	func(ctx context.Context, id string, _ int, places [][]string) {
		ctx = context.WithoutCancel(ctx)
		if !isOwn(id) {
			// Its caller is the other service, which does not say when it has the answer.
			call(ctx, id, 0, places)
			return
		}
		later(id, func() { call(ctx, "-", 0, places) })
	},
}

// at runs f on so many goroutines and waits for them.
func at(n int, f func()) {
	var all sync.WaitGroup
	for i := 0; i < n; i++ {
		all.Add(1)
		go func() { defer all.Done(); f() }()
	}
	all.Wait()
}
