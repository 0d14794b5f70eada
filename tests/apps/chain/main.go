// Command chain is a service of a chain. It is called and calls the next one over HTTP/1.1, HTTP/2, both with and without TLS, and gRPC,
// with and without TLS: whoever calls says by which of these the next one is to be called.
//
// It listens on CHAIN_HOST (127.0.0.1), prints "places " and its addresses by way, and serves until SIGTERM. CHAIN_NEXT are the places of
// the next service. At SIGUSR1 it begins CHAIN_REQUESTS chains with CHAIN_CALLERS callers at once, CHAIN_RATE a second at most (0: as many as
// it can), and prints "done", how many failed, and how many ms it took. Their ids are CHAIN_ID-1, CHAIN_ID-2 and so on. With CHAIN_OWN it
// sends a traceparent of its own along, as an SDK would, and with most of them a tracestate. CHAIN_AUTHORITY is what requests call the next service, in place of its address.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	log.SetOutput(io.Discard)
	stop, begin := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(begin, syscall.SIGUSR1)
	var places []string
	for way, address := range serve() {
		places = append(places, way+"="+address)
	}
	fmt.Println("places " + strings.Join(places, ","))
	go func() {
		for range begin {
			failed, took := drive(number("CHAIN_REQUESTS"), number("CHAIN_CALLERS"), number("CHAIN_RATE"))
			fmt.Println("done", failed, took.Milliseconds())
		}
	}()
	<-stop
}

func env(name, otherwise string) string {
	if text := os.Getenv(name); text != "" {
		return text
	}
	return otherwise
}

func number(name string) int {
	n, err := strconv.Atoi(env(name, "0"))
	if err != nil {
		panic(err)
	}
	return n
}
