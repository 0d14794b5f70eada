// Command kafkago writes to a Kafka broker and reads from it in the ways that the end-to-end tests expect spans of. Each case has a topic of
// its own, by which the tests know its span.
//
// KAFKA_BROKER is the broker's address. It makes the topics, prints "listening on URL", waits for a request for /go, runs all cases once,
// prints "done", and serves until SIGTERM. With KAFKA_OPERATIONS it makes so many requests that write, and reads, in place of the cases; with
// KAFKA_PROFILE, too, at once, and ends. With KAFKA_OPEN it leaves operations open. With KAFKA_OTHER, the address of another broker, it writes
// in batches of all sizes and reads that. KAFKA_OF_GROUP is how many messages a group reads, 500 unless it says otherwise. With KAFKA_PARTITIONS it writes to partitions of which some fail.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
)

var broker = os.Getenv("KAFKA_BROKER")

// ofGroup is how many messages the group reads.
var ofGroup = 500

func init() {
	if n, err := strconv.Atoi(os.Getenv("KAFKA_OF_GROUP")); err == nil {
		ofGroup = n
	}
}

// topics are there before the cases run.
var topics = []string{"ok", "in", "left", "right", "third", "fourth", "fifth", "tiny", "parted", "group", "synced", "cancelled", "load"}

func main() {
	log.SetOutput(io.Discard)
	makeTopics()
	if os.Getenv("KAFKA_OTHER") != "" {
		makeLinkWriters()
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	begin := make(chan struct{})
	mux := http.NewServeMux()
	var once sync.Once
	mux.HandleFunc("/go", func(http.ResponseWriter, *http.Request) { once.Do(func() { close(begin) }) })
	mux.HandleFunc("/in", inside)
	mux.HandleFunc("/write/", writeMany)
	mux.HandleFunc("/link/", link)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go func() { must(http.Serve(l, mux)) }()
	fmt.Printf("listening on http://%s\n", l.Addr())
	operations, _ := strconv.Atoi(os.Getenv("KAFKA_OPERATIONS"))
	if os.Getenv("KAFKA_PROFILE") != "" {
		load(l.Addr().String(), operations)
		return
	}
	select {
	case <-begin:
	case <-stop:
		return
	}
	if os.Getenv("KAFKA_OPEN") != "" {
		open()
	} else if os.Getenv("KAFKA_PARTITIONS") != "" {
		writePartitions()
	} else if os.Getenv("KAFKA_OTHER") != "" {
		links(l.Addr().String())
	} else if operations > 0 {
		load(l.Addr().String(), operations)
	} else {
		write()
		answer, err := http.Get("http://" + l.Addr().String() + "/in")
		must(err)
		answer.Body.Close()
		read()
	}
	fmt.Println("done")
	<-stop
}

func makeTopics() {
	if os.Getenv("KAFKA_PARTITIONS") != "" {
		makeTopicsOf(broker, partitioned)
		return
	}
	if os.Getenv("KAFKA_OTHER") == "" {
		makeTopicsOf(broker, topics)
		return
	}
	for w := range ways {
		makeTopicsOf(w.broker(), []string{w.topic()})
	}
}

func makeTopicsOf(broker string, topics []string) {
	conn, err := kafka.Dial("tcp", broker)
	must(err)
	defer conn.Close()
	for _, topic := range topics {
		config := kafka.TopicConfig{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}
		if topic == "parted" || strings.HasPrefix(topic, "links") {
			config.NumPartitions = 2
		}
		if topic == "refused" || topic == "again" || topic == "never" {
			config.NumPartitions = 4
		}
		if topic == "tiny" || topic == "parted" || topic == "refused" {
			config.ConfigEntries = []kafka.ConfigEntry{{ConfigName: "max.message.bytes", ConfigValue: "200"}}
		}
		must(conn.CreateTopics(config))
	}
	for _, topic := range topics {
		for {
			partitions, err := conn.ReadPartitions(topic)
			if err == nil && len(partitions) > 0 {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// to is a writer that does not wait for more messages.
func to(topic string) *kafka.Writer {
	return &kafka.Writer{
		Addr: kafka.TCP(broker), Topic: topic, BatchTimeout: 10 * time.Millisecond, MaxAttempts: 2, RequiredAcks: kafka.RequireAll,
	}
}

func message(key, value string) kafka.Message {
	return kafka.Message{Key: []byte(key), Value: []byte(value)}
}

func write() {
	ctx := context.Background()
	linked, strange := message("first", "secret"), message("", "secret")
	linked.Headers = []kafka.Header{
		{Key: "other", Value: []byte("x")}, {Key: "traceparent", Value: []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")},
	}
	strange.Headers = []kafka.Header{{Key: "traceparent", Value: []byte("00-nothing")}}
	must(to("ok").WriteMessages(ctx, linked, message("\x00\xff", "secret"), strange))
	var many []kafka.Message
	for n := 0; n < ofGroup; n++ {
		many = append(many, message("many", "secret"))
	}
	must(to("group").WriteMessages(ctx, many...))
	must(to("synced").WriteMessages(ctx, many[:3]...))
	left, right := message("", "secret"), message("", "secret")
	left.Topic, right.Topic = "left", "right"
	must(to("").WriteMessages(ctx, left, right))
	must(to("").WriteMessages(ctx, left, left))
	// Their names lie elsewhere each time.
	fails(mixed(ctx, map[string]int{"third": 150, "tiny": 2, "fourth": 100}))
	must(mixed(ctx, map[string]int{"left": 1, "right": 2, "third": 3, "fourth": 4, "fifth": 5}))
	// What is written lies on a stack, which grows meanwhile.
	done := make(chan error)
	go func() {
		messages := [3]kafka.Message{left, large(), left}
		messages[1].Topic = "tiny"
		done <- to("").WriteMessages(ctx, messages[:]...)
	}()
	fails(<-done)
	// A message for each of two partitions, one of which takes none that is so large.
	parted := to("parted")
	parted.Balancer = kafka.BalancerFunc(func(m kafka.Message, _ ...int) int { return int(m.Key[0] - '0') })
	first, second := large(), message("0", "secret")
	first.Key = []byte("1")
	fails(parted.WriteMessages(ctx, second, first))
	// More than are looked at, by turns.
	must(mixed(ctx, map[string]int{"fourth": 700, "fifth": 700}))
	// A balancer that panics, and one that leaves: nothing is sent, and what the call would have returned is not known.
	for _, leave := range []func(){func() { panic("no partition") }, runtime.Goexit} {
		left := make(chan struct{})
		go func() {
			defer close(left)
			defer func() { recover() }()
			w := to("left")
			w.Balancer = kafka.BalancerFunc(func(kafka.Message, ...int) int { leave(); return 0 })
			w.WriteMessages(ctx, message("", "secret"))
		}()
		<-left
	}
	// Nobody listens: an error around that of the connection.
	unreachable := to("unreachable")
	unreachable.Addr = kafka.TCP("127.0.0.1:1")
	fails(unreachable.WriteMessages(ctx, message("", "secret")))
	must(to("left").WriteMessages(ctx))
	fails(to("missing").WriteMessages(ctx, message("", "secret")))
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	// It is sent all the same: the call does not wait for that.
	fails(to("cancelled").WriteMessages(cancelled, message("", "secret")))
}

// large is a message that some topics do not take.
func large() kafka.Message {
	return kafka.Message{Value: bytes.Repeat([]byte("secret"), 1000)}
}

// mixed writes so many messages to each topic, by turns and in the order of the topics' names as long as there are any.
func mixed(ctx context.Context, counts map[string]int) error {
	var messages []kafka.Message
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	sort.Strings(names)
	for n := 0; ; n++ {
		before := len(messages)
		for _, name := range names {
			if n < counts[name] {
				m := message("", "secret")
				if counts["tiny"] > 0 {
					m = large()
				}
				m.Topic = strings.Clone(name)
				messages = append(messages, m)
			}
		}
		if len(messages) == before {
			return to("").WriteMessages(ctx, messages...)
		}
	}
}

func read() {
	ctx := context.Background()
	plain := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{broker}, Topic: "ok", MaxWait: 100 * time.Millisecond})
	for n := 0; n < 3; n++ {
		_, err := plain.FetchMessage(ctx)
		must(err)
	}
	must(plain.Close())
	_, err := plain.FetchMessage(ctx)
	fails(err)
	group := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{broker}, Topic: "group", GroupID: "testers", MaxWait: 100 * time.Millisecond, StartOffset: kafka.FirstOffset,
		CommitInterval: 100 * time.Millisecond,
	})
	for n := 0; n < ofGroup; n++ {
		_, err := group.ReadMessage(ctx)
		must(err)
	}
	soon, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err = group.FetchMessage(soon)
	fails(err)
	must(group.Close())
	synced := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{broker}, Topic: "synced", GroupID: "synced", MaxWait: 100 * time.Millisecond, StartOffset: kafka.FirstOffset,
	})
	var fetched []kafka.Message
	for n := 0; n < 3; n++ {
		m, err := synced.FetchMessage(ctx)
		must(err)
		fetched = append(fetched, m)
	}
	must(synced.CommitMessages(ctx, fetched...))
	// More than are looked at for their topics.
	many := make([]kafka.Message, 1100)
	for n := range many {
		many[n] = fetched[0]
	}
	must(synced.CommitMessages(ctx, many...))
	must(synced.Close())
	// Neither does anything.
	fails(plain.CommitMessages(ctx, fetched[0]))
	closed := to("closed")
	must(closed.Close())
	fails(closed.WriteMessages(ctx, fetched[0]))
	fails((&kafka.Writer{Topic: "nowhere"}).WriteMessages(ctx, fetched[0]))
	// An operation after them shows whether one of them was taken for one that did not end.
	must(to("ok").WriteMessages(ctx, message("", "secret")))
}

// open has ten writes and a read under way, which do not end.
func open() {
	w := to("left")
	w.BatchTimeout = time.Hour
	for n := 0; n < 10; n++ {
		go w.WriteMessages(context.Background(), message("", "secret"))
	}
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{broker}, Topic: "right", MaxWait: 100 * time.Millisecond})
	go reader.FetchMessage(context.Background())
	time.Sleep(500 * time.Millisecond)
}

// inside writes on behalf of a request.
func inside(_ http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	must(to("in").WriteMessages(ctx, message("", "secret")))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func fails(err error) {
	if err == nil {
		panic("no error")
	}
}
