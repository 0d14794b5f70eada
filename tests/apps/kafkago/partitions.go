package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/produce"
)

// partitioned are the topics of which some partitions fail.
var partitioned = []string{
	"refused", "again", "never", "wide", "async", "m1", "m2", "m3", "m4", "m5", "m6", "k1", "k2", "k3", "k4",
}

// answering answers some requests in the broker's place.
type answering struct {
	real kafka.RoundTripper
	lock sync.Mutex
	// answers are those that are still to be given, by topic and partition: a broker's code, or an error in place of an answer.
	answers map[string][]interface{}
}

func (a *answering) RoundTrip(ctx context.Context, addr net.Addr, request kafka.Request) (kafka.Response, error) {
	if sent, ok := request.(*produce.Request); ok {
		topic, partition := sent.Topics[0].Topic, sent.Topics[0].Partitions[0].Partition
		switch answer := a.next(topic, partition).(type) {
		case error:
			return nil, answer
		case int16:
			return &produce.Response{Topics: []produce.ResponseTopic{{
				Topic: topic, Partitions: []produce.ResponsePartition{{Partition: partition, ErrorCode: answer}},
			}}}, nil
		}
	}
	return a.real.RoundTrip(ctx, addr, request)
}

// next takes the next answer; nil: the broker's own.
func (a *answering) next(topic string, partition int32) interface{} {
	a.lock.Lock()
	defer a.lock.Unlock()
	place := fmt.Sprintf("%s/%d", topic, partition)
	left := a.answers[place]
	if len(left) == 0 {
		return nil
	}
	a.answers[place] = left[1:]
	return left[0]
}

// to is a writer whose messages go to the partition that their key says.
func (a *answering) to(topic string) *kafka.Writer {
	w := to(topic)
	w.Transport = a
	w.Balancer = kafka.BalancerFunc(func(m kafka.Message, _ ...int) int {
		partition, _ := strconv.Atoi(string(m.Key))
		return partition
	})
	return w
}

func writePartitions() {
	ctx := context.Background()
	const notLeader, tooLarge = int16(kafka.NotLeaderForPartition), int16(kafka.MessageSizeTooLarge)
	a := &answering{real: &kafka.Transport{}, answers: map[string][]interface{}{
		// An attempt fails, and the next does not; each fails, in three ways.
		"again/0": {notLeader}, "again/1": {kafka.LeaderNotAvailable},
		"never/0": {notLeader, notLeader}, "never/1": {notLeader}, "never/2": {kafka.TopicAuthorizationFailed}, "never/3": {notLeader, tooLarge},
		"async/0": {tooLarge}, "m5/0": {tooLarge}, "m6/0": {kafka.TopicAuthorizationFailed},
	}}
	// The broker itself takes no large messages: one, and two in a batch.
	big := func(partition string) kafka.Message {
		m := large()
		m.Key = []byte(partition)
		return m
	}
	fails(a.to("refused").WriteMessages(ctx, message("0", "secret"), big("1"), big("2"), big("2")))
	must(a.to("again").WriteMessages(ctx, message("0", "secret"), message("1", "secret")))
	var never, wide []kafka.Message
	for n := 0; n < 4; n++ {
		never = append(never, message(strconv.Itoa(n), "secret"))
	}
	fails(a.to("never").WriteMessages(ctx, never...))
	for n := 0; n < 130; n++ {
		wide = append(wide, message(strconv.Itoa(n), "secret"))
		a.answers[fmt.Sprintf("wide/%d", n)] = []interface{}{tooLarge}
	}
	fails(a.to("wide").WriteMessages(ctx, wide...))
	async := a.to("async")
	async.Async = true
	must(async.WriteMessages(ctx, message("0", "secret")))
	must(async.Close())
	fails(a.to("").WriteMessages(ctx, alone("m", "1", "2", "3", "4", "5", "6")...))
	// Each has a key, for which there is room up to a length.
	keys := alone("k", "1", "2", "3", "4")
	for n, key := range []string{"first", strings.Repeat("b", 100), strings.Repeat("c", 256), "no room"} {
		keys[n].Key = []byte(key)
	}
	must(a.to("").WriteMessages(ctx, keys...))
}

// alone are messages of which each is the only one of its topic.
func alone(topic string, numbers ...string) []kafka.Message {
	var all []kafka.Message
	for _, number := range numbers {
		m := message("0", "secret")
		m.Topic = topic + number
		all = append(all, m)
	}
	return all
}
