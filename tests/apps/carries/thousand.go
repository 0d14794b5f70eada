package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// The thousand requests have 40 headers each. Which ones is told by the request's number alone: the test makes them once more by itself
// (tests/e2e/propagation/thousand.rs), and both have to be changed together.
const requests, callers = 1000, 4

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
const signs = letters + "0123456789!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"

// numbers look like those of chance, and are the same each time.
type numbers uint64

func (n *numbers) below(limit int) int {
	*n = *n*6364136223846793005 + 1442695040888963407
	return int(uint64(*n>>33) % uint64(limit))
}

func (n *numbers) text(of string, length int) string {
	text := make([]byte, length)
	for i := range text {
		text[i] = of[n.below(len(of))]
	}
	return string(text)
}

// alike are names that are not the header's.
var alike = []string{"Traceparen", "Traceparents", "X-Traceparent", "Tracestate", "Trace-Parent"}

// numbered makes a request: one in five ends what stands before its header close to the end of the connection's buffer, and one in five has a
// context of its own.
func numbered(nth int) *http.Request {
	n := numbers(nth)
	path := fmt.Sprintf("/thousand/%d", nth)
	req := request("GET", path, nil)
	for i := 0; i < 38; i++ {
		name := fmt.Sprintf("X-%s-%d", n.text(letters, 1+n.below(24)), i)
		req.Header[name] = []string{n.text(signs, n.below(160))}
	}
	agent := 1 + n.below(100)
	if nth%5 == 3 {
		before := len("GET  HTTP/1.1\r\nHost: \r\nUser-Agent: \r\n") + len(path) + len(server)
		agent = buffer - 2*line - before + n.below(200)
	}
	req.Header.Set("User-Agent", n.text(letters, agent))
	name := alike[nth/5%len(alike)]
	if nth%5 == 4 {
		name = ""
		for _, letter := range "traceparent" {
			if n.below(2) == 1 {
				name += strings.ToUpper(string(letter))
			} else {
				name += string(letter)
			}
		}
	}
	req.Header[name] = []string{own}
	return req
}

func thousand() {
	t := &http.Transport{MaxIdleConnsPerHost: callers}
	var all sync.WaitGroup
	for caller := 0; caller < callers; caller++ {
		all.Add(1)
		go func(first int) {
			defer all.Done()
			for nth := first; nth < requests; nth += callers {
				send(t, numbered(nth))
			}
		}(caller)
	}
	all.Wait()
}
