package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/produce"
)

// A way to write: in batches of up to so many messages, and whether calls wait for them.
type way struct {
	size  int
	async bool
	other bool // To the other broker, which has the same topics.
}

// ways are those that are written by, and how many calls there are of each.
var ways = map[way]int{
	{1, false, false}: 40, {10, false, false}: 40, {100, false, false}: 20, {1000, false, false}: 4,
	{1, true, false}: 40, {10, true, false}: 40, {100, true, false}: 20, {1000, true, false}: 4,
	{1, false, true}: 40, {100, true, true}: 20,
}

const (
	partitions = 2
	// callers are goroutines that write at once, each way.
	callers = 8
)

func (w way) topic() string { return fmt.Sprintf("links-%d-%t", w.size, w.async) }

func (w way) broker() string {
	if w.other {
		return os.Getenv("KAFKA_OTHER")
	}
	return broker
}

// count is how many messages a call has: up to twice as many as a batch.
func (w way) count(call int) int { return call*37%(2*w.size) + 1 }

func (w way) key(call, n int) string {
	return fmt.Sprintf("%d/%t/%t/%d/%d", w.size, w.async, w.other, call, n)
}

// flaky fails each third batch once before it is sent, by an error or by a broker's code.
type flaky struct {
	requests atomic.Int64
	real     kafka.RoundTripper
}

func (f *flaky) RoundTrip(ctx context.Context, addr net.Addr, request kafka.Request) (kafka.Response, error) {
	if sent, ok := request.(*produce.Request); ok {
		switch f.requests.Add(1) % 6 {
		case 0:
			return nil, kafka.LeaderNotAvailable
		case 3:
			return &produce.Response{Topics: []produce.ResponseTopic{{
				Topic: sent.Topics[0].Topic,
				Partitions: []produce.ResponsePartition{{
					Partition: sent.Topics[0].Partitions[0].Partition, ErrorCode: int16(kafka.NotLeaderForPartition), BaseOffset: 0,
				}},
			}}}, nil
		}
	}
	return f.real.RoundTrip(ctx, addr, request)
}

var (
	linkWriters    = map[way]*kafka.Writer{}
	flakyTransport = &flaky{real: &kafka.Transport{}}
)

func makeLinkWriters() {
	for w := range ways {
		addr := kafka.TCP(w.broker())
		if w.size == 10 {
			addr = kafka.TCP(w.broker(), w.broker())
		}
		linkWriters[w] = &kafka.Writer{
			Addr: addr, Topic: w.topic(), BatchSize: w.size, BatchTimeout: 20 * time.Millisecond, RequiredAcks: kafka.RequireAll,
			Async: w.async, Transport: flakyTransport,
		}
		// Old versions always wait for 100 ms before they try again.
		for _, name := range []string{"WriteBackoffMin", "WriteBackoffMax"} {
			if field := reflect.ValueOf(linkWriters[w]).Elem().FieldByName(name); field.IsValid() {
				field.SetInt(int64(time.Millisecond))
			}
		}
	}
}

// link writes for a request of /link/SIZE/ASYNC/OTHER/CALL.
func link(_ http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	size, err := strconv.Atoi(parts[2])
	must(err)
	call, err := strconv.Atoi(parts[5])
	must(err)
	w := way{size, parts[3] == "true", parts[4] == "true"}
	messages := make([]kafka.Message, w.count(call))
	for n := range messages {
		key := w.key(call, n)
		messages[n] = message(key, "secret of "+key)
	}
	must(linkWriters[w].WriteMessages(r.Context(), messages...))
}

// links writes in all ways at once, and reads what was written.
func links(address string) {
	var all sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	for w, calls := range ways {
		w, calls := w, calls
		next := make(chan int, calls)
		for call := 0; call < calls; call++ {
			next <- call
		}
		close(next)
		for n := 0; n < callers; n++ {
			all.Add(1)
			go func() {
				defer all.Done()
				for call := range next {
					answer, err := client.Get(fmt.Sprintf("http://%s/link/%d/%t/%t/%d", address, w.size, w.async, w.other, call))
					must(err)
					answer.Body.Close()
				}
			}()
		}
		all.Add(1)
		go func() {
			defer all.Done()
			readLinked(w, calls)
		}()
	}
	all.Wait()
	for _, w := range linkWriters {
		must(w.Close())
	}
}

// readLinked reads all that was written in one way, each message once and as it was written.
func readLinked(w way, calls int) {
	var lock sync.Mutex
	due := map[string]bool{}
	for call := 0; call < calls; call++ {
		for n := 0; n < w.count(call); n++ {
			due[w.key(call, n)] = true
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for partition := 0; partition < partitions; partition++ {
		reader := kafka.NewReader(kafka.ReaderConfig{
			Brokers: []string{w.broker(), w.broker()}, Topic: w.topic(), Partition: partition, MaxWait: 50 * time.Millisecond,
		})
		all.Add(1)
		go func() {
			defer all.Done()
			for {
				m, err := reader.FetchMessage(ctx)
				if err != nil {
					break
				}
				lock.Lock()
				if !due[string(m.Key)] || string(m.Value) != "secret of "+string(m.Key) {
					panic("not what was written: " + string(m.Key))
				}
				delete(due, string(m.Key))
				if len(due) == 0 {
					cancel()
				}
				lock.Unlock()
			}
			must(reader.Close())
		}()
	}
	all.Wait()
}
