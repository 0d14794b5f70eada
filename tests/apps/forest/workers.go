package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// workers are goroutines that work for whoever asks them.
type workers struct{ jobs chan func() }

// work has those of this process; none of them was started by a handler.
var work *workers

func newWorkers(n int) *workers {
	w := &workers{make(chan func())}
	for i := 0; i < n; i++ {
		go func() {
			for job := range w.jobs {
				job()
			}
		}()
	}
	return w
}

// do has a worker do it, and waits.
func (w *workers) do(f func()) {
	done := make(chan struct{})
	w.jobs <- func() { defer close(done); f() }
	<-done
}

// What handlers leave behind, by their request's id.
var (
	left     = map[string][]func(){}
	leftLock sync.Mutex
	leftOver sync.WaitGroup
)

func later(id string, f func()) {
	leftOver.Add(1)
	leftLock.Lock()
	left[id] = append(left[id], f)
	leftLock.Unlock()
}

// release lets a worker do what the handler of this request has left for later. Its caller has the whole answer.
func release(id string) {
	leftLock.Lock()
	jobs := left[id]
	delete(left, id)
	leftLock.Unlock()
	for _, f := range jobs {
		go func() { work.jobs <- func() { defer leftOver.Done(); f() } }()
	}
}

// drive makes so many requests, its own and those of what it calls; of its own at most so many a second (0: as many as can be). It gives
// how many its own were.
func drive(places [][]string, requests, callers, rate int) int64 {
	var all sync.WaitGroup
	var own atomic.Int64
	var pace <-chan time.Time
	if rate > 0 {
		pace = time.Tick(time.Second / time.Duration(rate))
	}
	for i := 0; i < callers; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for ids.Load() < int64(requests) {
				if pace != nil {
					<-pace
				}
				own.Add(1)
				call(context.Background(), "-", 2, places)
			}
		}()
	}
	all.Wait()
	leftOver.Wait()
	return own.Load()
}
