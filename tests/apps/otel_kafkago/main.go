// Command otel_kafkago is OpenTelemetry's end-to-end application "kafka-go", written anew: an asynchronous writer that is given a message for
// each of two topics, the first with a header, and for each topic a reader, both of one group.
//
// KAFKA_BROKER is the broker's address. It makes the topics, prints "ready", waits for SIGUSR1, writes, reads, and leaves.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
)

var (
	broker = os.Getenv("KAFKA_BROKER")
	topics = []string{"topic1", "topic2"}
)

func main() {
	begin := make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	makeTopics()
	fmt.Println("ready")
	<-begin
	write()
	var all sync.WaitGroup
	all.Add(len(topics))
	for _, topic := range topics {
		go func(topic string) {
			defer all.Done()
			read(topic)
		}(topic)
	}
	all.Wait()
}

func makeTopics() {
	conn, err := kafka.Dial("tcp", broker)
	must(err)
	defer conn.Close()
	for _, topic := range topics {
		must(conn.CreateTopics(kafka.TopicConfig{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}))
	}
	for len(topics) > partitions(conn) {
		time.Sleep(50 * time.Millisecond)
	}
}

func partitions(conn *kafka.Conn) int {
	there, err := conn.ReadPartitions(topics...)
	if err != nil {
		return 0
	}
	return len(there)
}

func write() {
	w := &kafka.Writer{
		Addr: kafka.TCP(broker), Balancer: &kafka.LeastBytes{}, Async: true, RequiredAcks: kafka.RequireOne, BatchTimeout: time.Millisecond,
	}
	must(w.WriteMessages(context.Background(),
		kafka.Message{
			Topic: topics[0], Key: []byte("key1"), Value: []byte("value1"), Headers: []kafka.Header{{Key: "header1", Value: []byte("value1")}},
		},
		kafka.Message{Topic: topics[1], Key: []byte("key2"), Value: []byte("value2")}))
	// It returns when all is sent.
	must(w.Close())
}

// read has the message of the topic, which the library commits.
func read(topic string) {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{broker}, GroupID: "some group id", Topic: topic, StartOffset: kafka.FirstOffset, MaxWait: 100 * time.Millisecond,
		// The second member of the group is waited for as long as the first has no heartbeat.
		HeartbeatInterval: 100 * time.Millisecond,
	})
	_, err := r.ReadMessage(context.Background())
	must(err)
	must(r.Close())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
