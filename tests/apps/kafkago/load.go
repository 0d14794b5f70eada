package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// Writers and readers at once.
const (
	writers = 64
	readers = 16
)

// one is what all requests for /write/N write by: N modulo three messages and one more, whose key is N.
var one = &kafka.Writer{Addr: kafka.TCP(broker), Topic: "load", BatchTimeout: 10 * time.Millisecond, RequiredAcks: kafka.RequireAll}

func writeMany(_ http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/write/")
	n, err := strconv.Atoi(key)
	must(err)
	many := make([]kafka.Message, n%3+1)
	for i := range many {
		many[i] = message(key, "secret")
	}
	must(one.WriteMessages(r.Context(), many...))
}

// load makes so many requests to the server at that address, each of which writes, and reads what they write.
func load(address string, count int) {
	if name := os.Getenv("KAFKA_PROFILE"); name != "" {
		file, err := os.Create(name)
		must(err)
		must(pprof.StartCPUProfile(file))
		defer pprof.StopCPUProfile()
	}
	next, messages := make(chan int), 0
	for n := 0; n < count; n++ {
		messages += n%3 + 1
	}
	var all sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}}
	for range make([]struct{}, writers) {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := range next {
				answer, err := client.Get(fmt.Sprintf("http://%s/write/%d", address, n))
				must(err)
				answer.Body.Close()
			}
		}()
	}
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{broker}, Topic: "load", MaxWait: 100 * time.Millisecond})
	due := make(chan struct{}, messages)
	for n := 0; n < messages; n++ {
		due <- struct{}{}
	}
	close(due)
	for range make([]struct{}, readers) {
		all.Add(1)
		go func() {
			defer all.Done()
			for range due {
				_, err := reader.FetchMessage(context.Background())
				must(err)
			}
		}()
	}
	for n := 0; n < count; n++ {
		next <- n
	}
	close(next)
	all.Wait()
	must(reader.Close())
	must(one.Close())
}
