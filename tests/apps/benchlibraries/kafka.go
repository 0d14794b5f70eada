package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/segmentio/kafka-go/protocol/produce"
)

const (
	topic = "bench"
	// Nobody listens there: who dials it gets a broker within the process.
	address = "127.0.0.1:9092"
	// What a broker gives to one who asks for more: half of what a reader keeps.
	batch = 50
)

// Writers and readers are kafka-go's own, down to the bytes of their connections. The broker at the other end keeps nothing, and takes
// next to no time.
func init() {
	begin = func() map[string]operation {
		dial := func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go serve(theirs)
			return ours, nil
		}
		// A batch of one: a call waits for no other.
		writer := &kafka.Writer{
			Addr: kafka.TCP(address), Topic: topic, BatchSize: 1, RequiredAcks: kafka.RequireAll,
			Transport: &kafka.Transport{Dial: dial},
		}
		reader := kafka.NewReader(kafka.ReaderConfig{
			Brokers: []string{address}, Topic: topic, Dialer: &kafka.Dialer{DialFunc: dial},
		})
		message := kafka.Message{Key: []byte("key"), Value: []byte("value")}
		return map[string]operation{
			"write": func() error { return writer.WriteMessages(context.Background(), message) },
			"fetch": func() error {
				_, err := reader.FetchMessage(context.Background())
				return err
			},
		}
	}
}

// serve answers the requests of one connection. An answer differs from the one before in its number alone, and in where the messages
// of a fetch begin: the rest is made once.
//
//	request: size 4, api 2, version 2, number 4, and more; of a fetch the last 12 bytes are its offset 8, and the most bytes 4
//	answer:  size 4, number 4, and more
func serve(conn net.Conn) {
	defer conn.Close()
	made := map[uint32][]byte{}
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		request := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		kind := binary.BigEndian.Uint32(request)
		answer := made[kind]
		if answer == nil {
			answer = answerTo(protocol.ApiKey(kind>>16), int16(kind))
			made[kind] = answer
		}
		copy(answer[4:8], request[4:8])
		if protocol.ApiKey(kind>>16) == protocol.Fetch {
			from(answer, binary.BigEndian.Uint64(request[len(request)-12:]))
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// from has a fetch's answer begin at this offset, and says that there is more.
//
//	size 4, number 4, throttle 4, topics 4, topic 2 and its length, partitions 4, partition 4, error 2, high watermark 8,
//	size of the messages 4, their first offset 8
func from(answer []byte, offset uint64) {
	const watermark = 4 + 4 + 4 + 4 + 2 + len(topic) + 4 + 4 + 2
	binary.BigEndian.PutUint64(answer[watermark:], offset+2*batch)
	binary.BigEndian.PutUint64(answer[watermark+8+4:], offset)
}

// answerTo makes an answer whose number is 0.
func answerTo(api protocol.ApiKey, version int16) []byte {
	var answer bytes.Buffer
	if err := protocol.WriteResponse(&answer, version, 0, response(api)); err != nil {
		panic(fmt.Errorf("the broker's answer to %v v%d: %w", api, version, err))
	}
	return answer.Bytes()
}

// response is what there is to say: one broker, of one topic with one partition.
func response(api protocol.ApiKey) protocol.Message {
	switch api {
	case protocol.ApiVersions:
		return &apiversions.Response{ApiKeys: []apiversions.ApiKeyResponse{
			{ApiKey: int16(protocol.Produce), MinVersion: 3, MaxVersion: 7},
			{ApiKey: int16(protocol.Fetch), MinVersion: 2, MaxVersion: 2},
			{ApiKey: int16(protocol.ListOffsets), MinVersion: 1, MaxVersion: 1},
			{ApiKey: int16(protocol.Metadata), MinVersion: 1, MaxVersion: 6},
			{ApiKey: int16(protocol.ApiVersions), MinVersion: 0, MaxVersion: 0},
		}}
	case protocol.Metadata:
		return &metadata.Response{
			Brokers:      []metadata.ResponseBroker{{NodeID: 1, Host: "127.0.0.1", Port: 9092}},
			ControllerID: 1,
			Topics: []metadata.ResponseTopic{{
				Name: topic,
				Partitions: []metadata.ResponsePartition{{
					LeaderID: 1, ReplicaNodes: []int32{1}, IsrNodes: []int32{1},
				}},
			}},
		}
	case protocol.Produce:
		return &produce.Response{Topics: []produce.ResponseTopic{{
			Topic: topic, Partitions: []produce.ResponsePartition{{}},
		}}}
	case protocol.ListOffsets:
		return &listoffsets.Response{Topics: []listoffsets.ResponseTopic{{
			Topic: topic, Partitions: []listoffsets.ResponsePartition{{}},
		}}}
	case protocol.Fetch:
		records := make([]protocol.Record, batch)
		for i := range records {
			records[i].Key, records[i].Value = protocol.NewBytes([]byte("key")), protocol.NewBytes([]byte("value"))
		}
		return &fetch.Response{Topics: []fetch.ResponseTopic{{
			Topic: topic,
			Partitions: []fetch.ResponsePartition{{
				RecordSet: protocol.RecordSet{Version: 2, Records: protocol.NewRecordReader(records...)},
			}},
		}}}
	}
	panic(fmt.Errorf("the broker knows no %v", api))
}
