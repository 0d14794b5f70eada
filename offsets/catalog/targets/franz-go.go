package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

var poll = (*kgo.Client).PollFetches

func main() {
	client, err := kgo.NewClient()
	println(err)
	client.Produce(context.Background(), &kgo.Record{}, nil)
	fetches := client.PollRecords(context.Background(), 1)
	println(len(fetches.Records()), &poll)
}
