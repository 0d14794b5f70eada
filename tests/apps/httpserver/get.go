package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
)

// get is a small client: "httpserver get -n 5 [-http1] URL" prints protocol and status of each answer. The tests use it
// where a request needs TLS; it runs from a copy of the program, so that its probes are not the server's.
func get(args []string) int {
	flags := flag.NewFlagSet("get", flag.ExitOnError)
	n := flags.Int("n", 1, "number of requests")
	http1 := flags.Bool("http1", false, "HTTP/1.1 only")
	agent := flags.String("user-agent", "get", "User-Agent")
	_ = flags.Parse(args)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: !*http1,
	}
	if *http1 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	client := &http.Client{Transport: transport}
	for i := 0; i < *n; i++ {
		request, err := http.NewRequest("GET", flags.Arg(0), nil)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		request.Header.Set("User-Agent", *agent)
		response, err := client.Do(request)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		fmt.Println(response.Proto, response.StatusCode)
	}
	return 0
}
