// The service that scripts/bench measures: a little work per request, as a real handler has.
package main

import (
	"flag"
	"fmt"
	"hash/fnv"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
)

// About 5 µs of work on the machine this was written on.
const rounds = 40

func main() {
	threads := flag.Int("threads", 0, "keep so many threads besides")
	flag.Parse()
	debug.SetMaxThreads(*threads + 10000)
	for i := 0; i < *threads; i++ {
		go func() {
			runtime.LockOSThread()
			select {}
		}()
	}
	payload := make([]byte, 128)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		h := fnv.New64a()
		for i := 0; i < rounds; i++ {
			h.Write(payload)
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, strconv.FormatUint(h.Sum64()|1<<63, 16))
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	panic(http.Serve(listener, mux))
}
