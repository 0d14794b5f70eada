package main

import (
	"context"

	"github.com/segmentio/kafka-go"
)

func main() {
	ctx := context.Background()
	writer := kafka.NewWriter(kafka.WriterConfig{Brokers: []string{""}, Topic: "t"})
	println(writer.WriteMessages(ctx, kafka.Message{}))
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{""}, Topic: "t"})
	message, err := reader.FetchMessage(ctx)
	println(reader.CommitMessages(ctx, message), err)
	message, err = reader.ReadMessage(ctx)
	println(len(message.Value), err)
	conn, err := kafka.DialLeader(ctx, "tcp", "", "t", 0)
	println(err)
	count, err := conn.WriteMessages(message)
	println(count, err)
	message, err = conn.ReadMessage(1)
	println(len(message.Value), err)
}
