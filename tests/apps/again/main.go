// A small service that executes itself or another program: at its start, or when it is asked to.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
)

func become(file string, args ...string) {
	err := syscall.Exec(file, append([]string{file}, args...), os.Environ())
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func main() {
	again := flag.Int("again", 0, "execute itself so many `times` before serving")
	then := flag.String("then", "", "execute this `file` before serving")
	flag.Parse()
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	if *again > 0 {
		become(self, "-again", strconv.Itoa(*again-1), "-then", *then)
	}
	if *then != "" {
		become(*then)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") })
	http.HandleFunc("/become", func(w http.ResponseWriter, r *http.Request) { become(r.URL.Query().Get("file")) })
	fmt.Println("listening on", listener.Addr())
	panic(http.Serve(listener, nil))
}
