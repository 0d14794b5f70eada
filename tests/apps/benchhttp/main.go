// The service that `scripts/bench http` measures: a server of HTTP/1.1 and HTTP/2, and a client that calls when it is told to.
package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// About 5 µs of work on the machine this was written on.
const rounds = 40

// As many as the load has connections: the service always has an answer to take.
const callers = 8

func main() {
	upstream := flag.String("upstream", "", "the addresses that are called, in clear and encrypted, with a comma between")
	flag.Parse()
	clear, secure, _ := strings.Cut(*upstream, ",")
	h2c := new(http.Protocols)
	h2c.SetUnencryptedHTTP2(true)
	h2 := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	ways := map[string]way{
		"h1":  {&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}, "http://" + clear + "/empty"},
		"h2":  {&http.Client{Transport: h2}, "https://" + secure + "/empty"},
		"h2c": {&http.Client{Transport: &http.Transport{Protocols: h2c}}, "http://" + clear + "/empty"},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, work())
	})
	mux.HandleFunc("GET /chain", func(w http.ResponseWriter, r *http.Request) {
		if err := ways["h1"].call(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(w, work())
	})
	mux.HandleFunc("GET /empty", func(w http.ResponseWriter, r *http.Request) {})

	orders, encrypted, listener := listen("orders"), listen("encrypted"), listen("listening")
	go obey(orders, ways)
	both := new(http.Protocols)
	both.SetHTTP1(true)
	both.SetHTTP2(true)
	both.SetUnencryptedHTTP2(true)
	server := http.Server{
		Handler:   mux,
		Protocols: both,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate()}},
	}
	go func() { panic(server.ServeTLS(encrypted, "", "")) }()
	panic(server.Serve(listener))
}

func listen(what string) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s on %s\n", what, listener.Addr())
	return listener
}

// One that nobody looks at.
func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func work() string {
	payload := make([]byte, 128)
	h := fnv.New64a()
	for i := 0; i < rounds; i++ {
		h.Write(payload)
	}
	return strconv.FormatUint(h.Sum64()|1<<63, 16)
}

// A line `h1 250` is 250 calls over HTTP/1.1, answered with a line when they are done.
func obey(orders net.Listener, ways map[string]way) {
	for {
		conn, err := orders.Accept()
		if err != nil {
			panic(err)
		}
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			how, count, _ := strings.Cut(lines.Text(), " ")
			total, err := strconv.Atoi(count)
			if err == nil {
				err = ways[how].calls(total)
			}
			if err != nil {
				fmt.Fprintln(conn, err)
				break
			}
			fmt.Fprintln(conn, "done")
		}
		conn.Close()
	}
}

// What is called, and by which version of HTTP.
type way struct {
	client *http.Client
	url    string
}

// Each call has some work behind it, so that the service never waits for the upstream: a scheduler that looks for work would
// hide what a call costs.
func (way way) calls(total int) error {
	failures := make(chan error, callers)
	var group sync.WaitGroup
	for caller := 0; caller < callers; caller++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := caller; i < total; i += callers {
				if err := way.call(context.Background()); err != nil {
					failures <- err
					return
				}
				for range 8 {
					work()
				}
			}
		}()
	}
	group.Wait()
	close(failures)
	return <-failures
}

func (way way) call(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, "GET", way.url, nil)
	if err != nil {
		return err
	}
	response, err := way.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the upstream answered %s", response.Status)
	}
	return nil
}
